#include "mld/evaluate/networks/clip.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "engine/base/hash.h"
#include "engine/io/crc32.h"
#include "engine/io/safetensors.h"
#include "engine/ops/ops.h"
#include "mld/evaluate/networks/clip_score.h"
#include "mld/evaluate/networks/unicode.h"
#include "tests/nn/helpers.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

const char* const kMerges = MLD_MLD_GOLDEN_DIR "/clip_merges.txt";
const char* const kCases = MLD_MLD_GOLDEN_DIR "/clip_bpe_cases.txt";
const char* const kGolden = MLD_MLD_GOLDEN_DIR "/clip_golden.safetensors";
constexpr std::int64_t kTinyVocabulary = 2 * 256 + 320 + 2;

// What make_clip.py calls SMALL and FULL.
const ClipConfig kSmall{.image = 96,
                        .patch = 32,
                        .context = 24,
                        .vocabulary = kTinyVocabulary,
                        .embedding = 40,
                        .vision = {64, 3, 4},
                        .text = {48, 3, 3}};
const ClipConfig kFull{.vocabulary = 600};
const std::vector<std::string> kCaptions{"a small yellow bird with a black crown",
                                         "THE Bird's EYERING isn't red; they're 3-4 m WIDE!"};

// make_clip.py's uniform().
class Uniform {
 public:
  explicit Uniform(const std::string& name) : state_(fnv1a(name)) {}
  double operator()() {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27U) * 0x94d049bb133111eb;
    x ^= x >> 31U;
    return static_cast<double>(x >> 40U) / 8388608.0 - 1;
  }

 private:
  std::uint64_t state_;
};

// make_clip.py's recipe(), in file order.
std::vector<float> recipe(const std::string& name, const Shape& shape) {
  double shift = 0, scale = 1;
  if (name.find("ln_") != name.npos && name.ends_with("weight")) {
    shift = 1;
    scale = 0.3;
  } else if (name.ends_with("bias")) {
    scale = 0.2;
  } else if (name.find("embedding") == name.npos) {
    const bool transposed = name.ends_with("proj") || name.ends_with("projection");
    const std::int64_t fan_in = transposed ? shape[0] : shape.product(1, shape.rank());
    scale = std::sqrt(3 / static_cast<double>(fan_in));
  }
  Uniform uniform(name);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(shift + scale * uniform());
  return values;
}

Tensor images(const std::string& name, const Shape& shape) {
  Uniform uniform(name);
  const Tensor x = Tensor::empty(shape);
  for (float& v : x.span<float>()) v = static_cast<float>(0.5 + 0.7 * uniform());
  return x;
}

// A file as the converter makes it.
void write_weights(const std::filesystem::path& path, const ClipConfig& config) {
  ClipModel model(config);
  const nn::Visitor walked = nn::walk(model);
  std::vector<std::vector<float>> values;
  std::vector<TensorSource> sources;
  for (const auto& [name, data] : walked.parameters()) values.push_back(recipe(name, data->layout.shape));
  for (std::size_t i = 0; i < values.size(); ++i)
    sources.push_back({.name = walked.parameters()[i].name,
                       .shape = walked.parameters()[i].data->layout.shape,
                       .bytes = std::as_bytes(std::span(values[i]))});
  save_safetensors(path, sources);
}

std::vector<float> golden(const std::string& name) {
  static const SafetensorsFile file(kGolden);
  const TensorInfo* info = file.find(name);
  REQUIRE_MESSAGE(info != nullptr, name);
  std::vector<float> values(static_cast<std::size_t>(info->shape.numel()));
  file.read(name, std::as_writable_bytes(std::span(values)));
  return values;
}

// make_clip.py's sampled(): values at even distances, their mean and largest size, relative to the latter.
void check_layer(const std::string& name, const Tensor& found) {
  CAPTURE(name);
  const std::vector<float> want = golden(name);
  const std::vector<double> x = test::host(found);
  const std::size_t count = want.size() - 2;
  double mean = 0, largest = 0, worst = 0;
  for (const double v : x) {
    mean += v / static_cast<double>(x.size());
    largest = std::max(largest, std::abs(v));
  }
  for (std::size_t i = 0; i < count; ++i)
    worst = std::max(worst, std::abs(x[i * (x.size() - 1) / (count - 1)] - static_cast<double>(want[i])));
  worst = std::max(worst, std::abs(mean - static_cast<double>(want[count])));
  worst = std::max(worst, std::abs(largest - static_cast<double>(want[count + 1])));
  // The rounding of float32, as the oracle is in double: 9e-7 was seen.
  CHECK(worst <= 5e-6 * static_cast<double>(want[count + 1]));
}

Var blocks(const std::string& name, const ClipTransformer& transformer, Var h, const Tensor& mask) {
  for (std::size_t i = 0; i < transformer.resblocks.size(); ++i) {
    const ClipBlock& block = transformer.resblocks[i];
    const std::string place = name + "." + std::to_string(i);
    check_layer(place + ".attend", block.attend(block.ln_1(h), mask).value);
    h = block(h, mask);
    check_layer(place, h.value);
  }
  return h;
}

// A network with the recipe's weights.
struct Filled {
  explicit Filled(const ClipConfig& config, Device device = kCpu)
      : model(config), store(model, {.device = device, .training = false}) {
    for (const auto& [name, data, first] : store.parameters()) {
      const std::vector<float> values = recipe(name, data->layout.shape);
      const Tensor memory = Tensor::empty(data->shape);
      nn::from_file(std::as_bytes(std::span(values)), data->layout, memory);
      store.value().view(first, data->shape).copy_from(memory.to(device));
    }
    store.mark_filled();
  }

  ClipModel model;
  nn::ParameterStore store;
};

// Compares every layer with the golden values; returns both towers' outputs.
std::pair<Tensor, Tensor> check_towers(const std::string& label, const ClipModel& model,
                                       const ClipConfig& config, const Tensor& pictures,
                                       const Tensor& tokens) {
  const Var pixels = clip_pixels(pictures, config.image, true);
  check_layer(label + "/pixels", pixels.value);
  const Var patches = model.visual.embed(pixels);
  check_layer(label + "/visual.embed", patches.value);
  const Var image = model.visual.project(blocks(label + "/visual", model.visual.transformer, patches, {}));
  check_layer(label + "/visual.project", image.value);

  const Var words = model.text.embed(tokens);
  check_layer(label + "/text.embed", words.value);
  const Tensor mask = model.text.mask(tokens.shape()[0]);
  const Var text = model.text.project(blocks(label + "/text", model.text.transformer, words, mask), tokens);
  check_layer(label + "/text.project", text.value);

  check_layer(label + "/image_features", unit_rows(image).value);
  check_layer(label + "/text_features", unit_rows(text).value);
  return {image.value, text.value};
}

Tensor token_rows(const std::vector<std::vector<std::int32_t>>& rows) {
  std::vector<std::int32_t> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  const auto n = static_cast<std::int64_t>(rows.size());
  return Tensor::from(all, {n, static_cast<std::int64_t>(all.size()) / n});
}

std::string unescaped(const std::string& text) {
  const std::map<char, char> codes{{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'0', '\0'}, {'\\', '\\'}};
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) out += text[i] == '\\' ? codes.at(text[++i]) : text[i];
  return out;
}

std::string little_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> static_cast<unsigned>(8 * i));
  return out;
}

// A gzip file of one stored block.
std::string gzipped(const std::string& content) {
  REQUIRE(content.size() < 65536);
  const auto size = static_cast<std::uint32_t>(content.size());
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03\x01", 11) + little_endian(size, 2) +
         little_endian(~size, 2) + content + little_endian(crc32(std::as_bytes(std::span(content))), 4) +
         little_endian(size, 4);
}

}  // namespace

TEST_CASE("clip tokenizer: ids are those of the public implementations") {
  const BpeTokenizer tokenizer(kMerges);
  CHECK(tokenizer.vocabulary() == kTinyVocabulary);
  std::ifstream in(kCases);
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const std::size_t tab = line.find('\t');
    std::istringstream numbers(line.substr(0, tab));
    std::vector<std::int32_t> want;
    for (std::int32_t id; numbers >> id;) want.push_back(id);
    want.resize(BpeTokenizer::kContext);
    CAPTURE(line);
    CHECK(tokenizer.encode(unescaped(line.substr(tab + 1))) == want);
  }
  CHECK(cases == 24);
}

TEST_CASE("clip tokenizer: a long text is cut and keeps its end mark, a short one ends in zeros") {
  const BpeTokenizer tokenizer(kMerges);
  const std::vector<std::int32_t> ids = tokenizer.ids("a bird with a beak");
  REQUIRE(ids.size() == 5);
  const std::int32_t start = tokenizer.start(), end = tokenizer.end();
  CHECK(end == start + 1);
  CHECK(tokenizer.encode("a bird with a beak", 9) ==
        std::vector<std::int32_t>{start, ids[0], ids[1], ids[2], ids[3], ids[4], end, 0, 0});
  CHECK(tokenizer.encode("a bird with a beak", 7) ==
        std::vector<std::int32_t>{start, ids[0], ids[1], ids[2], ids[3], ids[4], end});
  CHECK(tokenizer.encode("a bird with a beak", 5) ==
        std::vector<std::int32_t>{start, ids[0], ids[1], ids[2], end});
  CHECK(tokenizer.encode("a bird", 2) == std::vector<std::int32_t>{start, end});
  test::error_of(ErrorKind::internal, [&] { tokenizer.encode("a bird", 1); });
}

TEST_CASE("clip tokenizer: plain, packed and other people's merges files are the same") {
  const test::TempFolder folder;
  const BpeTokenizer plain(kMerges);
  const std::string content = test::read_bytes(kMerges);
  test::write_bytes(folder / "packed.gz", gzipped(content));
  test::write_bytes(folder / "other",
                    "\"vocab.txt#version: 0.2\n" + content.substr(content.find('\n') + 1, content.npos));
  for (const char* name : {"packed.gz", "other"}) {
    const BpeTokenizer other(folder / name);
    CHECK(other.hash() == plain.hash());
    CHECK(other.encode(kCaptions[1]) == plain.encode(kCaptions[1]));
  }
  test::write_bytes(folder / "few", content.substr(0, content.find('\n', 60) + 1));
  CHECK(BpeTokenizer(folder / "few").hash() != plain.hash());
}

TEST_CASE("clip tokenizer: a malformed merges file is one error that names the line") {
  const test::TempFolder folder;
  struct Bad {
    std::string content, line, what;
  };
  for (const Bad& bad : {Bad{"i n\nt h\n", "line 1:", "#version"}, Bad{"", "line 1:", "#version"},
                         Bad{"#version: 0.2\n", "line 2:", "no merges"},
                         Bad{"#version: 0.2\ni n\nth\n", "line 3: 'th'", "two symbols"},
                         Bad{"#version: 0.2\ni n\nt h e\n", "line 3: 't h e'", "two symbols"},
                         Bad{"#version: 0.2\ni n\n\nt h\n", "line 3: ''", "two symbols"},
                         Bad{"#version: 0.2\ni \n", "line 2: 'i '", "two symbols"},
                         Bad{"#version: 0.2\ni n\nth e\n", "line 3: 'th e'", "'th', which is neither"},
                         Bad{"#version: 0.2\ni n\r\n", "line 2:", "neither"},
                         Bad{"#version: 0.2\ni n\nt h\ni n\n", "line 4: 'i n'", "exists already"}}) {
    test::write_bytes(folder / "merges", bad.content);
    const std::string message = test::error_of(ErrorKind::model, [&] { BpeTokenizer t(folder / "merges"); });
    CAPTURE(message);
    CHECK(test::contains(message, (folder / "merges").string() + ", " + bad.line));
    CHECK(test::contains(message, bad.what));
    CHECK(test::contains(message, "bpe_simple_vocab_16e6.txt.gz"));
  }
  test::error_of(ErrorKind::data, [&] { BpeTokenizer t(folder / "absent"); });
  test::write_bytes(folder / "cut.gz", gzipped("#version: 0.2\ni n\n").substr(0, 20));
  test::error_of(ErrorKind::data, [&] { BpeTokenizer t(folder / "cut.gz"); });
}

TEST_CASE("clip tokenizer: UTF-8, classes and lower case of Unicode") {
  const std::u32string all = U"a\u00e9\u9ce5\U0001f426";
  CHECK(unicode::decode(unicode::encode(all)) == all);
  CHECK(unicode::decode("\x80z\xc3") == U"\ufffdz\ufffd");
  CHECK(unicode::decode("\xc0\xaf") == U"\ufffd\ufffd");            // overlong
  CHECK(unicode::decode("\xed\xa0\x80") == U"\ufffd\ufffd\ufffd");  // a surrogate
  CHECK(unicode::decode("\xf4\x90\x80\x80").size() == 4);           // beyond the last character
  // As many as Perl 5.36, which has Unicode 14, finds by \p{L}, \p{N}, \p{White_Space} and lc.
  int letters = 0, numbers = 0, spaces = 0, lowered = 0, shared = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    letters += unicode::is_letter(c);
    numbers += unicode::is_number(c);
    spaces += unicode::is_space(c);
    lowered += unicode::lower(std::u32string_view(&c, 1)) != std::u32string_view(&c, 1);
    shared += unicode::is_letter(c) && (unicode::is_number(c) || unicode::is_space(c));
  }
  CHECK(letters == 131756);
  CHECK(numbers == 1791);
  CHECK(spaces == 25);
  CHECK(lowered == 1433);
  CHECK(shared == 0);
  CHECK(unicode::lower(U"\u00c4\u0100\u0101\u01c4\u1e9e\u2126\uff21Z[") ==
        U"\u00e4\u0101\u0101\u01c6\u00df\u03c9\uff41z[");
}

TEST_CASE("clip: a small network, layer by layer") {
  const BpeTokenizer tokenizer(kMerges);
  const Filled small(kSmall);
  const Tensor pictures = images("small images", {2, 150, 60, 3});
  const Tensor tokens = token_rows(
      {tokenizer.encode(kCaptions[0], kSmall.context), tokenizer.encode(kCaptions[1], kSmall.context)});
  const auto [image, text] = check_towers("small", small.model, kSmall, pictures, tokens);
  // The layers one by one are what the towers do.
  CHECK(test::host(small.model.visual(clip_pixels(pictures, kSmall.image, true)).value) == test::host(image));
  CHECK(test::host(small.model.text(tokens).value) == test::host(text));
}

TEST_CASE("clip: ViT-B/32 in full size, layer by layer") {
  std::vector<std::int32_t> row{598};
  for (std::int32_t i = 0; i < 30; ++i) row.push_back(7 * i % 598);
  row.push_back(599);
  row.resize(static_cast<std::size_t>(kFull.context));
  const Filled full(kFull);
  check_towers("full", full.model, kFull, images("full images", {1, 64, 64, 3}), token_rows({row}));
}

TEST_CASE("clip: the number of ViT-B/32's parameters, without the logit scale") {
  ClipModel model;
  CHECK(nn::count_parameters(model) == 151277312);
}

TEST_CASE("clip: features and score from files, whatever the batch") {
  const test::TempFolder folder;
  write_weights(folder / "clip.safetensors", kSmall);
  const Clip clip(folder / "clip.safetensors", kMerges, kCpu, kSmall);
  const Tensor pictures = images("small images", {2, 150, 60, 3});
  const Tensor image = clip.image_features(pictures), text = clip.text_features(kCaptions);
  check_layer("small/image_features", image);
  check_layer("small/text_features", text);
  ClipScore score;
  score.add(image, text);
  CHECK(score.count() == 2);
  CHECK(score.value() == doctest::Approx(golden("small/score")[0]).epsilon(1e-5));

  CHECK(clip.weights_hash().size() == 8);
  for (std::int64_t i = 0; i < 2; ++i) {
    CHECK(test::host(clip.image_features(pictures.rows(i, 1))) == test::host(image.rows(i, 1)));
    const std::span<const std::string> one(&kCaptions[static_cast<std::size_t>(i)], 1);
    CHECK(test::host(clip.text_features(one)) == test::host(text.rows(i, 1)));
  }
  // Images outside [0,1] without clamping are others.
  CHECK(test::host(clip.image_features(pictures, false)) != test::host(image));
}

TEST_CASE("clip: every device computes what the cpu does") {
  const BpeTokenizer tokenizer(kMerges);
  const Tensor tokens = token_rows({tokenizer.encode(kCaptions[0], kSmall.context)});
  const auto compute = [&](Device device) {
    const Filled small(kSmall, device);
    const Var pixels = clip_pixels(images("one", {1, 64, 64, 3}).to(device), kSmall.image, true);
    return std::pair(test::host(unit_rows(small.model.visual(pixels)).value),
                     test::host(unit_rows(small.model.text(tokens)).value));
  };
  const auto want = compute(kCpu);
  for (const Device device : test::queued_devices()) {
    CAPTURE(device);
    const auto found = compute(device);
    if (device == kSim) CHECK(found == want);
    test::check_near(found.first, want.first, 1e-5);
    test::check_near(found.second, want.second, 1e-5);
  }
}

TEST_CASE("clip: what does not fit is an error with its remedy") {
  const test::TempFolder folder;
  const auto open = [&](const ClipConfig& config) {
    return test::error_of(ErrorKind::model,
                          [&] { Clip clip(folder / "clip.safetensors", kMerges, kCpu, config); });
  };
  CHECK(test::contains(open(kSmall), "convert_weights.py clip"));
  write_weights(folder / "clip.safetensors", kSmall);
  ClipConfig other = kSmall;
  other.text.layers = 2;
  const std::string deeper = open(other);
  CHECK(test::contains(deeper, "transformer.resblocks.2.attn.in_proj_weight"));
  CHECK(test::contains(deeper, "convert_weights.py clip"));
  other = kSmall;
  other.vocabulary += 1;
  write_weights(folder / "clip.safetensors", other);
  CHECK(test::contains(open(other), "bpe_simple_vocab_16e6.txt.gz"));
  const Tensor no_end = Tensor::zeros({1, kSmall.context}, DType::i32);
  const Filled small(kSmall);
  CHECK(
      test::contains(test::error_of(ErrorKind::internal, [&] { small.model.text(no_end); }), "no end mark"));
}

TEST_CASE("clip score: mean and standard error, whatever the chunks") {
  const std::int64_t n = 57;
  const std::vector<double> angles = test::values(n, 5, 0, 3);
  const Tensor a = Tensor::zeros({n, 2}), b = Tensor::zeros({n, 2});
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double angle = angles[static_cast<std::size_t>(i)], turn = 0.1 * static_cast<double>(i);
    a.data<float>()[2 * i] = static_cast<float>(std::cos(turn));
    a.data<float>()[2 * i + 1] = static_cast<float>(std::sin(turn));
    b.data<float>()[2 * i] = static_cast<float>(std::cos(turn + angle));
    b.data<float>()[2 * i + 1] = static_cast<float>(std::sin(turn + angle));
    sum += std::cos(angle);
    squares += std::cos(angle) * std::cos(angle);
  }
  ClipScore once, parts;
  CHECK(std::isnan(once.value()));
  once.add(a, b);
  for (std::int64_t i = 0; i < n; i += 10)
    parts.add(a.rows(i, std::min<std::int64_t>(10, n - i)), b.rows(i, std::min<std::int64_t>(10, n - i)));
  const auto count = static_cast<double>(n);
  CHECK(once.value() == doctest::Approx(2.5 * sum / count).epsilon(1e-6));
  CHECK(sum < 0.8 * count);  // negative cosines count as they are
  const double variance = (squares - sum * sum / count) / (count - 1);
  CHECK(once.standard_error() == doctest::Approx(2.5 * std::sqrt(variance / count)).epsilon(1e-6));
  CHECK(parts.count() == n);
  CHECK(parts.value() == once.value());
  CHECK(parts.standard_error() == once.standard_error());

  ClipScore opposite;
  opposite.add(a, affine(a, -1, 0).value);
  CHECK(opposite.value() == doctest::Approx(-2.5).epsilon(1e-6));
  test::error_of(ErrorKind::internal, [&] { opposite.add(a, b.rows(0, 3)); });
}

}  // namespace mld
