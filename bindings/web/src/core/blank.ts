/** Nothing but white space and invisible characters: the server refuses such a message. */
export const isBlank = (content: string): boolean =>
  /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}]*$/u.test(content);
