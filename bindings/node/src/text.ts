import { addon } from './addon';
import { mustBe } from './options';

/**
 * Makes texts equal that differ only in case or in how their letters are composed: by it the storages of this package find
 * messages, and a storage or a `searchClients` of one's own finds alike.
 *
 *     foldText(client.name).includes(foldText(text))
 */
export function foldText(text: string): string {
  mustBe(typeof text === 'string', text, 'text', 'a string');
  return addon().foldText(text);
}
