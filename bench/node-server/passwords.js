// What both storages keep of a password.
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';

const hash = (password, salt) => scryptSync(password, salt, 32);

export function protect(password) {
  const salt = randomBytes(16);
  return { salt, passwordHash: hash(password, salt) };
}

export const matches = (password, user) => timingSafeEqual(hash(password, user.salt), user.passwordHash);
