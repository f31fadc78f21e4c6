// The pages are in English; dates follow the reader's kind of English.
// Of a tag that is none, such as "en-US@posix", the part that is one.
export const [locale] = /^en(?:-(?:[a-z]{2}|\d{3}))?(?![a-z\d])/i.exec(navigator.language) ?? ['en'];
