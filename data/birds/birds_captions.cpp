#include "data/birds/birds_captions.h"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "engine/base/error.h"

namespace mld::data {
namespace {

using Texts = std::vector<std::string>;

// What may stand for <name>: of every value of an attribute, or the same whatever is described.
struct Slot {
  std::string_view name;
  std::size_t attribute;
  std::vector<Texts> alternatives;
};
constexpr std::size_t kColour = 0, kSize = 1, kBeak = 2, kBars = 3, kPose = 4, kNone = 5;

// clang-format off
const std::vector<Slot> kSlots{
    {"colour", kColour, {{"red", "scarlet", "crimson"}, {"orange", "tangerine", "apricot"},
                         {"yellow", "golden", "lemon"}, {"green", "emerald", "grass-green"},
                         {"blue", "azure", "cobalt"}, {"brown", "chestnut", "tawny"},
                         {"grey", "gray", "ashen"}, {"black", "jet-black", "sooty"}}},
    {"size", kSize, {{"small", "little", "tiny"}, {"large", "big", "huge"}}},
    {"beak", kBeak, {{"short", "stubby"}, {"long", "dagger-like"}, {"hooked", "curved", "hawk-like"}}},
    {"billed", kBeak, {{"short-billed", "short-beaked"}, {"long-billed", "long-beaked"}, {"hook-billed", "hook-beaked"}}},
    {"bars", kBars, {{"plain wings", "unmarked wings", "no wing bars", "no bars on its wings", "no stripes on its wings"},
                     {"<pale> wing bars", "<pale> bars on its wings", "<pale> stripes on its wings", "barred wings",
                      "striped wings"}}},
    {"barred", kBars, {{"plain", "unmarked"}, {"barred", "striped"}}},
    {"with-bars", kBars, {{"without wing bars", "without bars on its wings", "without stripes on its wings", "with <bars>"},
                          {"with <bars>"}}},
    {"pose", kPose, {{"perched on a <branch>", "sitting on a <branch>", "resting on a <branch>", "perched in a tree",
                      "sitting in a tree"},
                     {"flying through the <sky>", "soaring in the <sky>", "gliding through the <sky>", "in flight",
                      "flying overhead"},
                     {"swimming on a <lake>", "floating on a <lake>", "paddling on a <lake>", "swimming in the water",
                      "floating on the water"}}},
    {"does", kPose, {{"sits on a <branch>", "rests on a <branch>", "perches in a tree"},
                     {"flies through the <sky>", "soars in the <sky>", "glides overhead"},
                     {"swims on a <lake>", "paddles in the water", "floats on the water"}}},
    {"bill", kNone, {{"beak", "bill"}}},
    {"pale", kNone, {{"two pale", "two light", "pale"}}},
    {"branch", kNone, {{"branch", "twig"}}},
    {"sky", kNone, {{"sky", "air"}}},
    {"lake", kNone, {{"lake", "pond"}}},
    {"plumage", kNone, {{"plumage", "feathers"}}},
    {"here is", kNone, {{"this is", "here is", "there is", "a picture of"}}},
    {"stop", kNone, {{"", "."}}}};

const Texts kSentences{
    "<here is> a <size> <colour> bird with a <beak> <bill> and <bars>, <pose>",
    "a <colour> bird <pose> that is <size> and has <bars> and a <beak> <bill>",
    "<pose> is a <size> bird with <colour> <plumage>, a <beak> <bill> and <bars>",
    "a bird with a <beak> <bill> and <bars>, <size> and <colour>, <pose>",
    "the <billed> bird <pose> is <size> and <colour> <with-bars>",
    "with <bars> and a <beak> <bill>, this <size> <colour> bird <does>",
    "its wings are <barred>, its <bill> is <beak>: a <colour>, <size> bird <pose>",
    "the bird <does>; it is <size> and <colour> with a <beak> <bill> and <bars>",
    "a <size> bird <pose>, <colour> all over, with <bars> and a <beak> <bill>",
    "this <colour> bird has a <beak> <bill> and <bars>; it is <size> and <pose>",
    "<here is> a <billed> <colour> bird <with-bars>, quite <size>, <pose>",
    "a bird whose <bill> is <beak> and whose wings are <barred> <does>; it is <colour> and <size>",
    "<colour> and <size>, the bird has <bars> and a <beak> <bill> and <does>",
    "seen <pose>: a <billed> bird that is <colour> and <size> <with-bars>",
    "the wings of this <size> bird are <barred>, its <plumage> <colour>, its <bill> <beak>, and it is <pose>",
    "this bird is <size>, <does> and has <colour> <plumage>, <bars> and a <beak> <bill>",
    "a <beak> <bill> and <bars> mark this <colour> bird <pose>, a <size> one",
    "<pose>, a <colour> bird shows <bars>, a <beak> <bill> and a <size> body",
    "a <size> bird <pose> with a <beak> <bill> and <bars>, its <plumage> <colour>",
    "<barred> wings and <colour> <plumage> on a <size> bird <pose> with a <beak> <bill>"};

// How texts name wing bars and poses, in these sentences and in others.
const std::vector<Texts> kBarsPhrases{
    {"plain", "unmarked", "no wing bars", "no bars on its wings", "no stripes on its wings", "without wing bars",
     "without bars on its wings", "without stripes on its wings"},
    {"wing bars", "bars on its wings", "stripes on its wings", "barred", "striped"}};
const std::vector<Texts> kPosePhrases{
    {"perched", "perches", "sitting", "sits", "resting", "rests", "branch", "twig", "tree"},
    {"flying", "flies", "soaring", "soars", "gliding", "glides", "flight", "sky", "air", "overhead"},
    {"swimming", "swims", "floating", "floats", "paddling", "paddles", "lake", "pond", "water"}};
// clang-format on

const Slot& slot_of(std::string_view name) {
  const auto found = std::ranges::find(kSlots, name, &Slot::name);
  MLD_CHECK(found != kSlots.end(), "captions of birds: no slot <", name, ">");
  return *found;
}

std::string expand(std::string_view text, std::span<const std::int32_t> values, ItemRandom& random) {
  std::string result;
  for (std::size_t open; (open = text.find('<')) != std::string_view::npos;) {
    const std::size_t close = text.find('>', open);
    const Slot& slot = slot_of(text.substr(open + 1, close - open - 1));
    const Texts& texts =
        slot.alternatives[slot.attribute == kNone ? 0 : static_cast<std::size_t>(values[slot.attribute])];
    result += text.substr(0, open);
    result += expand(texts[random.below(static_cast<std::uint32_t>(texts.size()))], values, random);
    text.remove_prefix(close + 1);
  }
  return result.append(text);
}

// "a orange" is "an orange".
std::string with_articles(std::string text) {
  constexpr std::string_view kVowels = "aeiou";
  for (std::size_t at = 0; (at = text.find("a ", at)) != std::string::npos; ++at)
    if ((at == 0 || text[at - 1] == ' ') && kVowels.find(text[at + 2]) != std::string_view::npos)
      text.insert(at + 1, "n");
  return text;
}

Attribute attribute(const char* name, std::initializer_list<const char*> values,
                    std::initializer_list<std::vector<Texts>> phrases) {
  Attribute result{name, {}};
  for (const char* value : values) {
    Attribute::Value& added = result.values.emplace_back(Attribute::Value{value, {}});
    for (const std::vector<Texts>& of_value : phrases) {
      const Texts& texts = of_value[result.values.size() - 1];
      added.phrases.insert(added.phrases.end(), texts.begin(), texts.end());
    }
  }
  return result;
}

}  // namespace

const std::vector<Attribute>& bird_attributes() {
  const auto slot = [](std::string_view name) { return slot_of(name).alternatives; };
  static const std::vector<Attribute> attributes{
      attribute("colour", {"red", "orange", "yellow", "green", "blue", "brown", "grey", "black"},
                {slot("colour")}),
      attribute("size", {"small", "large"}, {slot("size")}),
      attribute("beak", {"short", "long", "hooked"}, {slot("beak"), slot("billed")}),
      attribute("bars", {"without", "with"}, {kBarsPhrases}),
      attribute("pose", {"perched", "flying", "swimming"}, {kPosePhrases})};
  return attributes;
}

std::array<std::string, kBirdCaptions> bird_captions(std::span<const std::int32_t> values,
                                                     ItemRandom& random) {
  std::vector<std::size_t> order(kSentences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::array<std::string, kBirdCaptions> captions;
  for (std::size_t i = 0; i < captions.size(); ++i) {
    std::swap(order[i], order[i + random.below(static_cast<std::uint32_t>(order.size() - i))]);
    captions[i] = with_articles(expand(kSentences[order[i]] + "<stop>", values, random));
  }
  return captions;
}

}  // namespace mld::data
