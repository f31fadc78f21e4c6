#include "demo_dialogue.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace travel_lab::demo {
namespace {

constexpr std::array<Destination, 12> all_destinations = {{
    {"Lisbon and the Alentejo", "Lisbon", "Five nights in the old town, then cork forests and long lunches inland.",
     "Memmo Alfama", "TAP", "Prado", "the tile museum", "Cabo da Roca"},
    {"Kyoto in Autumn", "Kyoto", "Ryokan stays, temple mornings and two days in the Kiso valley.", "Sowaka", "ANA",
     "Giro Giro Hitoshina", "Tofuku-ji", "the bamboo grove at Arashiyama"},
    {"Patagonia on Foot", "El Chaltén", "The W trek with a guide, and a rest by the lake at the end.", "Awasi", "LATAM",
     "La Cervecería", "Laguna de los Tres", "the Perito Moreno glacier"},
    {"A Week on the Amalfi Coast", "Praiano", "Boats, lemon groves, and a day in Pompeii with an archaeologist.",
     "Casa Angelina", "ITA Airways", "Da Adolfo", "the Path of the Gods", "Pompeii"},
    {"Iceland Ring Road", "Reykjavík", "Ten days around the island by car, with whales in Húsavík.", "Hótel Búðir",
     "Icelandair", "Dill", "Jökulsárlón", "the Mývatn baths"},
    {"Cape Town and the Winelands", "Cape Town", "City, sea and vineyards, and three days on safari.", "Ellerman House",
     "KLM", "La Colombe", "Table Mountain", "Boulders Beach"},
    {"Costa Rica with the Children", "La Fortuna", "Rainforest, sloths and a gentle surf school.", "Nayara Springs",
     "Iberia", "Don Rufino", "the hanging bridges", "Manuel Antonio"},
    {"Marrakech and the Atlas", "Marrakech", "A riad in the medina, and two nights in a Berber village.", "El Fenn",
     "Royal Air Maroc", "Le Jardin", "Jardin Majorelle", "the Ourika valley"},
    {"Honeymoon in the Cyclades", "Santorini", "Two islands, one sailing boat, no alarm clocks.", "Perivolas", "Aegean",
     "Metaxi Mas", "the walk from Fira to Oia", "ancient Akrotiri"},
    {"Bali, Slowly", "Ubud", "Rice terraces, a cooking class and a week by the reef in Amed.", "Bambu Indah",
     "Singapore Airlines", "Locavore", "the Tegallalang terraces", "the temple at Lempuyang"},
    {"New Zealand's South Island", "Queenstown", "Fjords, glaciers, and the night train that is a bus.", "Eichardt's",
     "Air New Zealand", "Amisfield", "Milford Sound", "the Hooker Valley track"},
    {"Banff in Winter", "Banff", "Snowshoes, sleigh rides and a very warm lodge.", "Moraine Lake Lodge", "Air Canada",
     "The Bison", "Johnston Canyon", "Lake Minnewanka"},
}};

constexpr std::array<std::string_view, 50> first_names = {
    "Amelia",  "Noah",  "Priya",   "Mateo",  "Chloé",  "Kenji",   "Zainab", "Oliver", "Hana",  "Łukasz",
    "Grace",   "Diego", "Ingrid",  "Samuel", "Leïla",  "Marcus",  "Yuki",   "Fatima", "Jonas", "Beatriz",
    "Ethan",   "Nadia", "Pieter",  "Rosa",   "Arjun",  "Emily",   "Tomás",  "Sigrún", "Caleb", "Mei",
    "Harriet", "Kofi",  "Elena",   "Björn",  "Naomi",  "Rafael",  "Astrid", "Dmitri", "Lucía", "Henry",
    "Aisha",   "Felix", "Camille", "Jin",    "Miriam", "Patrick", "Sofia",  "Tunde",  "Vera",  "William"};
constexpr std::array<std::string_view, 50> last_names = {
    "Hartley",   "Nakamura",  "Fernández", "O'Connor", "Iyer",     "Dubois",    "Schmidt", "Abebe",    "Lindgren",
    "Costa",     "Whitfield", "Kowalski",  "Haddad",   "Novák",    "Greene",    "Sato",    "Moreau",   "Okonkwo",
    "Jensen",    "Rossi",     "Patel",     "Müller",   "Ferreira", "Chang",     "Walsh",   "Ivanova",  "Herrera",
    "Bergström", "Mensah",    "Castillo",  "Thorne",   "Yılmaz",   "Papadakis", "Nguyen",  "Ashworth", "Delgado",
    "Van Dijk",  "Sørensen",  "Rahman",    "Baptiste", "Ellison",  "Tanaka",    "Moretti", "Byrne",    "Suzuki",
    "Alvarez",   "Fischer",   "Adeyemi",   "Laurent",  "Kim"};

// "A: " is the advisor, "C: " the client. Blanks: {advisor} {client} (first names), {place} {hotel} {airline}
// {restaurant} {sight} {other} of the trip, {day} {time} {evening} {price} {room} {people} drawn once for each
// exchange. Shorter exchanges end with the first empty line.
using Exchange = std::array<std::string_view, 6>;

constexpr Exchange greeting = {
    "A: Hi {client}! It's {advisor}. This is our line for everything about {place}: questions, changes, second "
    "thoughts. I read it all day.",
    "C: Oh nice, much better than email", "C: We're so excited!!", "A: Me too. I'll send a first outline by {day}.",
    "C: Perfect 🙏"};

// In any order.
constexpr std::array<Exchange, 23> before_the_trip = {{
    {"C: Quick question, is the flight on {day} with {airline} direct?",
     "A: Yes, direct both ways. Out at {time}, and you land before dinner.", "C: Perfect, that was my only worry",
     "A: Seats {room}A and {room}B, window and aisle as you like them."},
    {"A: {hotel} has confirmed the upgrade. You're in {room} now, the corner with the terrace.", "C: No way 😮",
     "C: How did you do that?", "A: I sent them eleven guests this year. They owed me one.",
     "C: You are the best, {advisor}"},
    {"C: Could we move dinner at {restaurant} from {evening} to a bit later? The little one naps", "A: Let me ask.",
     "A: Done. Half an hour later, same table by the window.", "C: Thank you!!"},
    {"A: Small change to {day}: {sight} closes early for a private event, so I've put {other} first and {sight} on the "
     "morning after. Same guide, same price.",
     "C: Works for us", "C: Do we still need to be up at 6?", "A: No. Pick-up is at nine.", "C: 🎉"},
    {"C: Do we need a visa?",
     "A: Not for stays under 90 days with your passports. They must be valid for six months beyond your return, "
     "though. Could you check the dates on all {people}?",
     "C: Checking", "C: All good until 2030", "A: Lovely, that's that then."},
    {"C: My mother-in-law is vegetarian now, since Tuesday apparently", "A: Noted, and I admire the timing 🙂",
     "A: {hotel} and {restaurant} both know. The guide on {day} will pack accordingly.",
     "C: Honestly what would we do without you"},
    {"A: Here is the outline for the whole trip:\n\n• Two slow days in {place}\n• {sight} with a guide\n• A free day, "
     "which I beg you to leave free\n• {other}, with lunch on the way\n• One last night at {hotel}\n\nTell me what "
     "feels like too much.",
     "C: Reading it aloud at the table right now", "C: Everyone votes for two free days",
     "A: Democracy it is. I'll drop one of the transfers."},
    {"C: Is it safe to swim there in that season?", "A: Yes, in the bay. Not past the rocks, there is a current.",
     "A: I'll put the good beach on your map.", "C: 👍"},
    {"C: The invoice says {price} but I thought it was less?",
     "A: That's with the guide for {sight}, which we added on {day}. Without it you're back at the old total.",
     "C: Ahh right. No, keep the guide", "A: Good choice. He's wonderful."},
    {"A: Are you flying with hand luggage only? {airline} has become strict about the second bag.",
     "C: We were going to try 😅", "A: I can add one checked bag for {price}. Cheaper now than at the gate.",
     "C: Ok do it please", "A: Added."},
    {"C: Can you recommend a raincoat? Or is it more umbrella weather", "A: Raincoat. The wind eats umbrellas there.",
     "C: Noted", "C: And shoes?", "A: Anything with grip that you have worn before. No new boots on this trip!"},
    {"A: Photos from {other} just came in from a client who is there now. The light!", "C: Stop it",
     "C: I'm at work, I can't be looking at this", "A: Only {people} more weeks…"},
    {"C: It's our anniversary on {day}, could {hotel} do something small? He doesn't know",
     "A: I love this. Flowers in the room and the quiet table at {evening}?", "C: Yes!! No cake, he'd be embarrassed",
     "A: No cake, no singing. Consider it done.", "C: ❤️"},
    {"C: Can we add a day?", "A: We can. Where would you like it, in {place} or near {other}?", "C: {place} I think",
     "A: {hotel} has your room for one more night at {price}. Shall I take it?", "C: Yes please"},
    {"A: Your travel documents are ready. Please have a look at the spelling of all names when you have a minute.",
     "C: Looks right!", "C: Wait. My middle name is missing", "A: It isn't needed for {airline}, only first and last.",
     "C: Phew"},
    {"C: How much cash should we bring?",
     "A: Very little. Cards work nearly everywhere; sixty euros in small notes for markets and tips are plenty.",
     "C: Great, thanks"},
    {"C: Is {sight} worth it with kids?", "A: Go early and yes. After eleven it's all buses.",
     "C: Early we can do, they're up at 5 anyway", "A: Then you'll have it to yourselves.", "C: 👍"},
    {"A: Good news, I got the last table at {restaurant}: {day}, {evening}, {people} people.", "C: NO", "C: YES",
     "C: We've wanted to go there for years", "A: Bring an appetite. It's nine courses."},
    {"C: Would you do the train or the car?",
     "A: Train. It's slower on paper and faster in every other way, and nobody has to stay sober.", "C: Ha, sold",
     "A: Booking it for {day}, {time}. Window seats on the left, that's the sea side."},
    {"C: Do we need vaccinations?",
     "A: Nothing mandatory. The official advice is here: https://wwwnc.cdc.gov/travel and your own doctor has the last "
     "word.",
     "C: Ok, have an appointment on {day}", "A: Perfect, plenty of time."},
    {"C: Could you send me the address of the hotel again?",
     "A: {hotel}, {place}. It's on the map in your trip page "
     "too, with the way from the station.",
     "C: Sorry, found it", "A: No need to be sorry!"},
    {"A: The deposit of {price} arrived, thank you.", "C: Great. When is the rest due?",
     "A: Thirty days before departure. I'll remind you, no need to write it down."},
    {"C: Random idea, could we see {other} at sunrise?", "A: You'd leave at four in the morning. But: yes.",
     "C: The teenager says never, the rest of us say yes", "A: I can book {people} seats and one breakfast in bed.",
     "C: 😂😂", "C: Do exactly that"},
}};

// In this order, after all of the others; then the next trip is planned.
constexpr std::array<Exchange, 7> on_the_trip = {{
    {"C: We landed!!! Everything smooth", "A: Wonderful. Your driver is Amir, white van, sign with your name.",
     "C: Found him. He has cold water, I might marry him", "A: He gets that a lot.", "C: 😂"},
    {"C: Hi {advisor}, our connection was cancelled. We're at the airport and nobody tells us anything",
     "A: I see it. Stay where you are, I'm on the phone with {airline}.",
     "A: You're on the {time} now, confirmed, all {people} of you together. New boarding passes are in your email.",
     "C: I could cry. Thank you", "A: Go and eat something. I've told {hotel} that you'll be late."},
    {"C: The room is lovely but very loud, there's a bar below us 😢", "A: Oh no. Give me ten minutes.",
     "A: They're moving you to {room}, garden side. Someone is coming up for your bags.", "C: Already here!! So quiet",
     "A: Sleep well, {client}."},
    {"A: Weather for {day} looks mixed. I've moved the boat to the day after and put {sight} in its place.",
     "C: You check the weather for us?", "A: Every morning with my coffee.", "C: That's adorable"},
    {"A: How was {sight} today?", "C: Unreal. Sunburnt and happy", "C: The guide knew every single bird",
     "A: She does. I'll tell her you said so.", "C: Please do, and she deserves a raise"},
    {"C: I think I left my charger at {hotel}", "A: They have it. White, with a blue cable?", "C: That's the one!",
     "A: They'll send it ahead to your next stop.", "C: Amazing"},
    {"C: Home again. It was the best trip we ever took", "A: That makes my week. What was the best moment?",
     "C: {other}, no contest. And the evening at {restaurant}", "C: We're already arguing about next year",
     "A: I have ideas. Many ideas.", "C: I was afraid of that 😄"},
}};

constexpr std::array<std::string_view, 7> days = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                  "Friday", "Saturday", "Sunday"};
constexpr std::array<std::string_view, 9> times = {"7:40",  "8:15",  "9:30",  "10:05", "13:20",
                                                   "16:45", "18:30", "19:15", "20:00"};
constexpr std::array<std::string_view, 5> evenings = {"18:30", "19:00", "19:30", "20:15", "21:00"};
constexpr std::array<std::string_view, 8> prices = {"€85",  "€120",   "€240",   "€390",
                                                    "€460", "€1,150", "€2,300", "€3,480"};
constexpr std::array<std::string_view, 8> rooms = {"12", "14", "21", "23", "27", "31", "34", "42"};
constexpr std::array<std::string_view, 4> groups = {"two", "three", "four", "five"};

std::string_view first_name(std::string_view full_name) {
  return full_name.substr(0, full_name.find(' '));
}

struct Blank {
  std::string_view name;
  std::string_view filling;
};

std::string fill_in(std::string_view text, std::span<const Blank> blanks) {
  std::string filled;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    filled += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    const std::string_view name = text.substr(open + 1, close - open - 1);
    const auto blank = std::find_if(blanks.begin(), blanks.end(), [&](const Blank& b) { return b.name == name; });
    if (blank != blanks.end()) filled += blank->filling;
    text.remove_prefix(close + 1);
  }
  return filled;
}

}  // namespace

std::span<const Destination> destinations() {
  return all_destinations;
}

std::string client_name(std::size_t number) {
  const std::size_t round = number / first_names.size();
  const std::size_t first = number % first_names.size();
  const std::size_t last = (first * 7 + round) % last_names.size();
  std::string name(first_names[first]);
  // When all pairs of names are used, a middle initial makes further ones.
  if (const std::size_t repeat = round / last_names.size(); repeat > 0) {
    name += ' ';
    name += static_cast<char>('A' + repeat % 26);
    name += '.';
  }
  name += ' ';
  name += last_names[last];
  return name;
}

std::vector<Line> converse(const Speakers& speakers, const Destination& destination, std::size_t length,
                           Random& random) {
  std::vector<Line> lines;
  lines.reserve(length);
  std::vector<const Exchange*> script;  // what comes next, from the back
  const Exchange* exchange = &greeting;
  while (lines.size() < length) {
    const std::array<Blank, 14> blanks = {{{"advisor", first_name(speakers.advisor)},
                                           {"client", first_name(speakers.client)},
                                           {"place", destination.place},
                                           {"hotel", destination.hotel},
                                           {"airline", destination.airline},
                                           {"restaurant", destination.restaurant},
                                           {"sight", destination.sight},
                                           {"other", destination.other_sight},
                                           {"day", days[pick(random, days.size())]},
                                           {"time", times[pick(random, times.size())]},
                                           {"evening", evenings[pick(random, evenings.size())]},
                                           {"price", prices[pick(random, prices.size())]},
                                           {"room", rooms[pick(random, rooms.size())]},
                                           {"people", groups[pick(random, groups.size())]}}};
    bool begins = true;
    for (const std::string_view text : *exchange) {
      if (text.empty() || lines.size() == length) break;
      lines.push_back({text.starts_with("A:"), std::exchange(begins, false), fill_in(text.substr(3), blanks)});
    }
    if (script.empty()) {
      for (auto each = on_the_trip.rbegin(); each != on_the_trip.rend(); ++each) script.push_back(&*each);
      const std::size_t first = script.size();
      for (const Exchange& each : before_the_trip) script.push_back(&each);
      for (std::size_t i = script.size() - 1; i > first; --i) {
        std::swap(script[i], script[first + pick(random, i - first + 1)]);
      }
    }
    exchange = script.back();
    script.pop_back();
  }
  return lines;
}

}  // namespace travel_lab::demo
