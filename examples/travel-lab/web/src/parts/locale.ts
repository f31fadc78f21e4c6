// The pages are in English; dates follow the reader's kind of English.
export const locale = /^en\b/i.test(navigator.language) ? navigator.language : 'en';
