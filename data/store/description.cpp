#include "data/store/description.h"

#include <algorithm>
#include <array>
#include <set>

#include "data/formats/mmap_file.h"
#include "data/store/json_fields.h"
#include "data/store/modality_json.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"
#include "engine/io/file_error.h"

namespace mld::data {
namespace {

constexpr const char* kFormat = "mld-store";
constexpr std::int64_t kUncheckedVersion = 1, kVersion = 2;
constexpr std::size_t kFingerprint = 16;  // digits
constexpr std::array kKindNames{"image", "vector", "spectrogram", "tokens", "categorical", "series"};
constexpr std::array kDTypeNames{"u8", "f32", "i32"};
constexpr std::array kDTypes{DType::u8, DType::f32, DType::i32};
constexpr std::int64_t kMaxCount = INT32_MAX;  // items are named by int32 indices
constexpr std::int64_t kMaxItemSize = std::int64_t{1} << 28;
constexpr std::size_t kMaxModalities = 32;

void check_vocabulary(const std::string& name, const std::string& place) {
  const bool plain = name.find_first_of("/\\") == std::string::npos && !name.starts_with('.');
  MLD_CHECK_AS(ErrorKind::data, plain && !name.empty() && name.size() <= 128 && name.ends_with(".txt"), place,
               ": vocabulary ", quote(name), " must be a plain file name ending in .txt");
}

int item_rank(ModalityKind kind) {
  if (kind == ModalityKind::image) return 3;
  return kind == ModalityKind::spectrogram || kind == ModalityKind::series ? 2 : 1;
}

Modality parse_modality(JsonFields f) {
  Modality m;
  m.name = f.string("name");
  m.kind = parse_kind(f);
  m.shape = f.shape("shape");
  m.dtype = kDTypes[f.choice("dtype", kDTypeNames)];
  parse_kind_keys(f, m, true);
  f.finish();
  return m;
}

SplitSize parse_split(JsonFields f, const std::string& name, const std::vector<Modality>& modalities) {
  SplitSize split{name, f.integer("samples", 1, kMaxCount), f.integer("repetitions", 1, kMaxCount), {}};
  JsonFields items = f.object("items");
  for (const Modality& m : modalities) split.items.push_back(items.integer(m.name, 0, kMaxCount));
  items.finish();
  f.finish();
  return split;
}

Provenance parse_provenance(JsonFields f) {
  Provenance provenance{f.string("importer"), f.seed("seed"), {}};
  for (JsonFields& source : f.objects("sources")) {
    provenance.sources.push_back(
        {source.string("file"), source.integer("bytes", 0, INT64_MAX), source.string("crc32")});
    source.finish();
  }
  f.finish();
  return provenance;
}

void check_plain_name(std::string_view name, const std::string& place) {
  const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  MLD_CHECK_AS(ErrorKind::data, letters && !name.empty() && name.size() <= 64, place, ": name ", quote(name),
               ", expected 1 to 64 letters, digits, '_' or '-'");
}

// Words in lower case with a blank between two of them.
bool is_phrase(const std::string& text) {
  const bool lower = std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  const bool plain = std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return lower && plain && !text.empty() && !text.starts_with(' ') && !text.ends_with(' ') &&
         text.find("  ") == std::string::npos;
}

void check_values(const Attribute& attribute, const std::string& place, std::set<std::string>& phrases) {
  std::set<std::string_view> names;
  for (std::size_t v = 0; v < attribute.values.size(); ++v) {
    const Attribute::Value& value = attribute.values[v];
    const std::string here = cat(place, ".values[", v, "]");
    check_plain_name(value.name, here);
    MLD_CHECK_AS(ErrorKind::data, names.insert(value.name).second, here, ": the name ", quote(value.name),
                 " occurs twice");
    for (const std::string& phrase : value.phrases) {
      MLD_CHECK_AS(ErrorKind::data, is_phrase(phrase), here, ".phrases: ", quote(phrase),
                   ", expected words in lower case with single blanks between them");
      MLD_CHECK_AS(ErrorKind::data, phrases.insert(phrase).second, here, ".phrases: ", quote(phrase),
                   " occurs twice; a text with it would name either");
    }
  }
}

void check_attributes(const Description& d, const std::string& place) {
  std::set<std::string> phrases;
  std::set<std::string_view> names;
  std::int64_t combinations = 1;
  for (std::size_t a = 0; a < d.attributes.size(); ++a) {
    const Attribute& attribute = d.attributes[a];
    const std::string here = cat(place, ": attributes[", a, "]");
    check_plain_name(attribute.name, here);
    MLD_CHECK_AS(ErrorKind::data, names.insert(attribute.name).second, here, ": the name ",
                 quote(attribute.name), " occurs twice");
    MLD_CHECK_AS(ErrorKind::data, !attribute.values.empty(), here, ": no values");
    check_values(attribute, here, phrases);
    MLD_CHECK_AS(ErrorKind::data,
                 !__builtin_mul_overflow(combinations, std::ssize(attribute.values), &combinations), here,
                 ": too many combinations");
  }
  MLD_CHECK_AS(ErrorKind::data, d.attributes.empty() || combinations == d.classes, place,
               ": attributes: ", combinations, " combinations of their values, but ", d.classes,
               " classes; expected as many");
}

bool is_fingerprint(const std::string& text) {
  return text.size() == kFingerprint && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void check_splits(const Description& d, const std::string& place) {
  bool train = false;
  for (const SplitSize& split : d.splits) {
    const std::string here = place + ": splits." + split.name;
    check_name(split.name, here);
    train = train || split.name == "train";
    MLD_CHECK_AS(ErrorKind::data, split.items.size() == d.modalities.size(), here, ": items of ",
                 split.items.size(), " modalities, expected ", d.modalities.size());
    MLD_CHECK_AS(ErrorKind::data, split.samples % split.repetitions == 0, here, ": ", split.samples,
                 " samples are no multiple of ", split.repetitions, " repetitions");
    for (std::size_t m = 0; m < split.items.size(); ++m)
      MLD_CHECK_AS(ErrorKind::data, split.items[m] > 0 || split.name != "train", here, ".items.",
                   d.modalities[m].name, ": no items; every modality needs some to train on");
  }
  MLD_CHECK_AS(ErrorKind::data, train, place, ": splits: no \"train\"");
}

}  // namespace

Json modality_json(const Modality& m) {
  Json j{{"name", m.name}, {"kind", kind_name(m.kind)}};
  j["shape"] = std::vector<std::int64_t>(m.shape.extents().begin(), m.shape.extents().end());
  j["dtype"] = dtype_name(m.dtype);
  if (is_discrete(m.kind)) {
    j["categories"] = m.categories;
    if (!m.vocabulary.empty()) j["vocabulary"] = m.vocabulary;
  } else {
    j["range"] = {m.range.min, m.range.max};
    if (m.original_range) j["original_range"] = {m.original_range->min, m.original_range->max};
  }
  if (m.pen_path) j["pen_path"] = true;
  if (m.audio)
    j["audio"] = {{"sample_rate", m.audio->sample_rate}, {"n_fft", m.audio->n_fft}, {"hop", m.audio->hop}};
  return j;
}

Json attributes_json(const Description& d) {
  Json attributes = Json::array();
  for (const Attribute& attribute : d.attributes) {
    Json values = Json::array();
    for (const Attribute::Value& value : attribute.values)
      values.push_back({{"name", value.name}, {"phrases", value.phrases}});
    attributes.push_back({{"name", attribute.name}, {"values", std::move(values)}});
  }
  return attributes;
}

Json splits_json(const Description& d) {
  Json splits = Json::object();
  for (const SplitSize& split : d.splits) {
    Json s{{"samples", split.samples}, {"repetitions", split.repetitions}, {"items", Json::object()}};
    for (std::size_t m = 0; m < d.modalities.size(); ++m) s["items"][d.modalities[m].name] = split.items[m];
    splits[split.name] = std::move(s);
  }
  return splits;
}

std::vector<Attribute> parse_attributes(JsonFields& f) {
  std::vector<Attribute> attributes;
  if (!f.has("attributes")) return attributes;
  for (JsonFields& attribute : f.objects("attributes")) {
    Attribute& a = attributes.emplace_back(Attribute{attribute.string("name"), {}});
    for (JsonFields& value : attribute.objects("values")) {
      a.values.push_back({value.string("name"), value.strings("phrases")});
      value.finish();
    }
    attribute.finish();
  }
  return attributes;
}

ModalityKind parse_kind(JsonFields& f) { return static_cast<ModalityKind>(f.choice("kind", kKindNames)); }

bool parse_kind_keys(JsonFields& f, Modality& m, bool range_required) {
  if (is_discrete(m.kind)) {
    m.categories = f.integer("categories", 1, kMaxCount);
    if (m.kind == ModalityKind::tokens && f.has("vocabulary")) m.vocabulary = f.string("vocabulary");
    return false;
  }
  if (m.kind == ModalityKind::vector && f.has("pen_path")) m.pen_path = f.boolean("pen_path");
  if (m.kind == ModalityKind::spectrogram && f.has("audio")) {
    JsonFields audio = f.object("audio");
    m.audio = AudioFrontEnd{audio.integer("sample_rate", 1, kMaxCount), audio.integer("n_fft", 1, kMaxCount),
                            audio.integer("hop", 1, kMaxCount)};
    audio.finish();
  }
  if (f.has("original_range")) m.original_range = f.range("original_range");
  const bool has_range = f.has("range") || range_required;
  if (has_range) m.range = f.range("range");
  return has_range;
}

const char* kind_name(ModalityKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

int Description::modality(std::string_view wanted) const {
  std::string known;
  for (std::size_t m = 0; m < modalities.size(); ++m) {
    if (modalities[m].name == wanted) return static_cast<int>(m);
    known += (m ? ", " : "") + modalities[m].name;
  }
  fail(ErrorKind::usage, "data set ", name, ": no modality ", quote(wanted), "; it has ", known);
}

void check_name(std::string_view name, const std::string& place) {
  check_plain_name(name, place);
  MLD_CHECK_AS(ErrorKind::data, name != "samples" && name != "labels", place, ": the name ", quote(name),
               " is taken by another file of the store");
}

void check(const Modality& m, const std::string& place) {
  check_name(m.name, place);
  const char* kind = kind_name(m.kind);
  MLD_CHECK_AS(ErrorKind::data, m.shape.rank() == item_rank(m.kind), place, ": shape ", m.shape, " for kind ",
               kind, ", expected ", item_rank(m.kind), " extents");
  std::int64_t size = 1;
  for (std::int64_t extent : m.shape.extents())
    MLD_CHECK_AS(ErrorKind::data,
                 extent > 0 && !__builtin_mul_overflow(size, extent, &size) && size <= kMaxItemSize, place,
                 ": shape ", m.shape, ", expected 1 to ", kMaxItemSize, " values");
  MLD_CHECK_AS(ErrorKind::data,
               is_discrete(m.kind) ? m.dtype == DType::i32 : m.dtype == DType::u8 || m.dtype == DType::f32,
               place, ": dtype ", dtype_name(m.dtype), " for kind ", kind, ", expected ",
               is_discrete(m.kind) ? "i32" : "u8 or f32");
  MLD_CHECK_AS(ErrorKind::data, m.range.min < m.range.max, place, ": empty range");
  MLD_CHECK_AS(ErrorKind::data,
               is_discrete(m.kind) ? m.categories >= 1 && m.categories <= kMaxCount : m.categories == 0,
               place, ": ", m.categories, " categories for kind ", kind);
  MLD_CHECK_AS(ErrorKind::data, !m.audio || m.kind == ModalityKind::spectrogram, place, ": audio for kind ",
               kind);
  MLD_CHECK_AS(ErrorKind::data, !m.pen_path || (m.kind == ModalityKind::vector && m.shape[0] % 2 == 0), place,
               ": pen_path needs kind vector and an even number of values");
  MLD_CHECK_AS(ErrorKind::data, !m.original_range || !is_discrete(m.kind), place,
               ": original_range for kind ", kind);
  if (m.vocabulary.empty()) return;
  MLD_CHECK_AS(ErrorKind::data, m.kind == ModalityKind::tokens, place, ": vocabulary for kind ", kind);
  check_vocabulary(m.vocabulary, place);
}

void check(const Description& d, const std::string& place) {
  MLD_CHECK_AS(ErrorKind::data, !d.modalities.empty() && d.modalities.size() <= kMaxModalities, place,
               ": modalities: ", d.modalities.size(), ", expected 1 to ", kMaxModalities);
  MLD_CHECK_AS(ErrorKind::data, d.classes >= 0 && d.classes <= Description::kMaxClasses, place,
               ": classes: ", d.classes);
  check_attributes(d, place);
  for (std::size_t i = 0; i < d.modalities.size(); ++i) {
    const std::string here = cat(place, ": modalities[", i, "]");
    check(d.modalities[i], here);
    for (std::size_t j = 0; j < i; ++j) {
      MLD_CHECK_AS(ErrorKind::data, d.modalities[j].name != d.modalities[i].name, here, ": the name ",
                   quote(d.modalities[i].name), " occurs twice");
    }
  }
  if (!d.splits.empty()) check_splits(d, place);
}

Description parse_description(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  JsonFields f(json, file);
  Description d;
  const std::string format = f.string("format");
  MLD_CHECK_AS(ErrorKind::data, format == kFormat, f.place("format"), ": found ", quote(format),
               ", expected ", quote(kFormat));
  const std::int64_t version = f.integer("version", 1, INT32_MAX);
  MLD_CHECK_AS(ErrorKind::data, version <= kVersion, f.place("version"), ": found ", version,
               ", this program reads 1 to ", kVersion, "; import the data again, or use a newer program");
  if (version != kUncheckedVersion) {
    f.check_seal(text);
    d.fingerprint = f.string("fingerprint");
    MLD_CHECK_AS(ErrorKind::data, is_fingerprint(d.fingerprint), f.place("fingerprint"), ": found ",
                 quote(d.fingerprint), ", expected ", kFingerprint, " hexadecimal digits");
  }
  d.name = f.string("name");
  d.classes = f.integer("classes", 0, Description::kMaxClasses);
  d.attributes = parse_attributes(f);
  for (JsonFields& modality : f.objects("modalities")) d.modalities.push_back(parse_modality(modality));
  check(d, file);  // the splits name the modalities, so these come first
  JsonFields splits = f.object("splits");
  for (const std::string& name : splits.keys())
    d.splits.push_back(parse_split(splits.object(name), name, d.modalities));
  d.provenance = parse_provenance(f.object("provenance"));
  f.finish();
  check(d, file);
  MLD_CHECK_AS(ErrorKind::data, !d.splits.empty(), f.place("splits"), ": no \"train\"");
  return d;
}

std::string to_json(const Description& d) {
  const bool checked = !d.fingerprint.empty();
  Json j{{"format", kFormat},
         {"version", checked ? kVersion : kUncheckedVersion},
         {"name", d.name},
         {"classes", d.classes}};
  if (!d.attributes.empty()) j["attributes"] = attributes_json(d);
  j["modalities"] = Json::array();
  for (const Modality& m : d.modalities) j["modalities"].push_back(modality_json(m));
  j["splits"] = splits_json(d);
  Json sources = Json::array();
  for (const SourceFile& s : d.provenance.sources)
    sources.push_back({{"file", s.file}, {"bytes", s.bytes}, {"crc32", s.crc32}});
  j["provenance"] = {
      {"importer", d.provenance.importer}, {"seed", d.provenance.seed}, {"sources", std::move(sources)}};
  if (!checked) return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  j["fingerprint"] = d.fingerprint;
  return sealed_text(std::move(j));
}

SourceFile describe_source(const std::filesystem::path& path) {
  const MmapFile file(path);
  return {path.filename().string(), std::ssize(file.bytes()),
          crc_text(mld::crc32(std::as_bytes(file.bytes())))};
}

}  // namespace mld::data
