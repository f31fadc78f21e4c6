// The agency of the pictures: one advisor's desk on an afternoon, always the same.
import type { Client, PastMessage, Organization } from '../harness/organizations.ts';

/** What every page believes the time to be: Monday, November 23, 2026, 2:45 PM in New York. */
export const NOW = Date.parse('2026-11-23T19:45:00.000Z');

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function client(number: number, name: string, title: string, destination: string, summary: string): Client {
  const share = number.toString(16).padStart(32, '5');
  return { id: `client-${number}`, name, trip: { id: `trip-${number}`, title, shareToken: share, destination, summary } };
}

const elena = client(1, 'Elena Marchetti', 'Lisbon & the Alentejo', 'Lisbon', 'Eight days between the river and the cork oaks: the Alfama by tram, a cooking morning, and three quiet nights among the vines.');
const jonas = client(2, 'Jonas Lindgren', 'Iceland Ring Road', 'Reykjavík', 'Ten days around the island by car.');
const amara = client(3, 'Amara Osei', 'Kyoto in Autumn', 'Kyoto', 'Gardens and maple leaves.');
const theo = client(4, 'Théo Laurent', 'Patagonia on Foot', 'El Chaltén', 'Glaciers and granite.');
const mei = client(5, 'Mei Tanaka', 'Venice by Boat', 'Venice', 'A week on the lagoon.');
const oskar = client(6, 'Oskar Nowak', 'Marrakech and the Desert', 'Marrakech', 'Souks, then stars.');
const priya = client(7, 'Priya Raman', 'Safari in the Serengeti', 'Arusha', 'The great migration.');
const grace = client(8, 'Grace Holloway', 'A First Trip to Rome', 'Rome', 'Four days, on foot.');
const hugo = client(9, 'Hugo Bianchi', 'Slow Trains to Palermo', 'Palermo', 'Sleepers, ferries and lemon groves.');

export const agency: Organization = {
  id: 'org-pictures',
  name: 'Harbour Travel',
  advisors: [
    { id: 'advisor-maya', name: 'Maya Okafor', email: 'maya@pictures.example' },
    { id: 'advisor-daniel', name: 'Daniel Reyes', email: 'daniel@pictures.example' },
  ],
  clients: [elena, jonas, amara, theo, mei, oskar, priya, grace, hugo],
};

export const people = { elena, jonas, amara, theo, mei, oskar, priya, grace, hugo };

const said = (by: PastMessage['by'], text: string, before: number, isNew = false): PastMessage => ({ by, text, at: NOW - before, isNew });

export const histories: readonly (readonly [Client, readonly PastMessage[]])[] = [
  [
    elena,
    [
      said('advisor', 'Hi Elena, the Lisbon plan is ready. Have a look at days 3 to 5 and tell me what you think.', DAY + 3 * HOUR),
      said('client', 'Oh this is lovely!!', DAY + 2 * HOUR + 50 * MINUTE),
      said('client', 'The cooking morning is exactly what we hoped for', DAY + 2 * HOUR + 50 * MINUTE - 20_000),
      said('client', 'Could we stay one more night in the Alentejo?', DAY + 2 * HOUR + 50 * MINUTE - 40_000),
      said('advisor', 'Of course. The farmhouse has the 8th free.', DAY + 2 * HOUR + 47 * MINUTE),
      said('advisor', 'I would move the tram day to the front, then nothing gets rushed.', DAY + 2 * HOUR + 47 * MINUTE - 30_000),
      said('client', '🎉', DAY + 2 * HOUR + 45 * MINUTE),
      said('client', 'Good afternoon! Quick one: is breakfast included at the farmhouse?', 16 * MINUTE),
      said('advisor', 'Every day, until eleven. They bake the bread themselves: https://herdade.example/breakfast', 14 * MINUTE),
      said('client', 'Then we will sleep in 😄', 12 * MINUTE),
      said('client', 'And the transfer from the airport?', 12 * MINUTE - 25_000),
      said('advisor', 'Booked. The driver waits at arrivals with your name, whatever the plane does.', 9 * MINUTE),
      said('advisor', 'Anything else on your list?', 9 * MINUTE - 30_000),
    ],
  ],
  [
    jonas,
    [
      said('advisor', 'The 4x4 is confirmed from the 2nd.', 3 * HOUR),
      said('client', 'Great. Do we need studded tyres in April?', 41 * MINUTE, true),
      said('client', 'And can we drop it off at the airport?', 40 * MINUTE, true),
    ],
  ],
  [amara, [said('client', 'The ryokan pictures are unreal. Yes to all of it!', 2 * HOUR), said('advisor', 'Then I book it today ✨', 95 * MINUTE)]],
  [theo, [said('advisor', 'Your permits came through this morning.', 5 * HOUR), said('client', 'Parfait, merci beaucoup', 4 * HOUR)]],
  [mei, [said('client', 'Could you send the vaporetto times again?', DAY + HOUR), said('advisor', 'Here you are, and the map with the stops.', DAY)]],
  [oskar, [said('client', 'We landed. The riad is beautiful 🧡', 2 * DAY, true)]],
  [priya, [said('advisor', 'The visa forms are in your folder.', 4 * DAY), said('client', 'Filled in and sent.', 4 * DAY - HOUR)]],
];

/** Long enough to scroll, with what came while nobody looked. */
export const longTalk: readonly PastMessage[] = Array.from({ length: 46 }, (_, i): PastMessage => {
  const topics = [
    'We thought about the second week again.',
    'Good idea. I would keep Sunday free.',
    'Is the market open on Sundays?',
    'Until two. After that everything sleeps.',
    'Then lunch there, and the museum after it?',
    'The museum closes at five, so that works well.',
  ];
  return {
    by: i % 2 ? 'advisor' : 'client',
    text: topics[i % topics.length]!,
    at: NOW - (46 - i) * 7 * MINUTE - HOUR,
    isNew: i >= 42 && i % 2 === 0,
  };
});
