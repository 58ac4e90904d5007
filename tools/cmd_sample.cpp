#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "data/store/store.h"
#include "data/text/text_lines.h"
#include "engine/io/atomic_file.h"
#include "engine/io/file_error.h"
#include "engine/threads/threads.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/modality/sample_folder.h"
#include "mld/modality/sample_io.h"
#include "mld/modality/sample_writer.h"
#include "mld/run/generate.h"
#include "mld/run/model_data.h"
#include "tools/commands.h"
#include "tools/sampler_options.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string run, from, split = "test", index, out;
  std::vector<std::string> given, given_mods, want;
  std::int64_t n = 16, singles = 64;
  std::set<std::string> named;  // options that were given, whatever their values
  bool force = false;
  int threads = 0;
  ReadSampleOptions read;
  SamplerFlags sampler;
  DeviceFlags device;
};

// A number of digits alone.
std::int64_t parse_row(std::string_view part, const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  MLD_CHECK_AS(
      ErrorKind::usage,
      error == std::errc() && end == part.data() + part.size() && part[0] != '-' && value < kMaxSamples,
      "--index: ", quote(text), " is not a row or a range such as 0:16");
  return value;
}

// "a:b" or "k" as the range [first, last).
std::pair<std::int64_t, std::int64_t> parse_range(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::int64_t first = parse_row(std::string_view(text).substr(0, colon), text);
  if (colon == std::string::npos) return {first, first + 1};
  const std::int64_t last = parse_row(std::string_view(text).substr(colon + 1), text);
  MLD_CHECK_AS(ErrorKind::usage, first < last, "--index: ", quote(text), " is empty");
  return {first, last};
}

// What the options say without the model.
void check(const Options& o) {
  MLD_CHECK_AS(ErrorKind::usage, o.given.empty() || o.from.empty(),
               "sample: conditions come from --given or from --from, not both");
  MLD_CHECK_AS(ErrorKind::usage, o.from.empty() == o.given_mods.empty(),
               "sample: --from and --given-mods go together");
  for (const char* option : {"--index", "--split"})
    MLD_CHECK_AS(ErrorKind::usage, !o.from.empty() || !o.named.contains(option), option,
                 ": goes with --from; name the store too");
  check_distinct("--want", o.want);
  check_distinct("--given-mods", o.given_mods);
}

// Conditions: where their values are, by modality.
class Given {
 public:
  Given(const Model& model, const Options& o) : model_(model), o_(o), n_(o.n) {
    for (const std::string& entry : o.given) from_file(entry);
    if (!o.from.empty()) from_store();
    for (auto& [name, rows] : rows_) {
      // One condition serves all n samples; several must be n.
      MLD_CHECK_AS(ErrorKind::usage, rows.count == n_ || rows.count == 1, "sample: ", rows.count,
                   " conditions of '", name, "' for ", n_, " samples; pass -n ", rows.count);
      readers_[name] = rows.count == n_ ? rows.read : repeated(rows);
      if (!rows.done.empty()) done_[name] = rows.done;
    }
  }
  std::int64_t n() const { return n_; }
  const Conditions& readers() const { return readers_; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, reader] : readers_) names.push_back(name);
    return names;
  }
  const nlohmann::json& record() const { return record_; }
  const nlohmann::json& done() const { return done_; }  // to files, by modality

 private:
  const data::Modality& info(const std::string& name) const {
    model_.dataset().modality(name);
    return model_.info(model_.modality(name));  // a model may know fewer
  }

  void from_file(const std::string& entry) {
    const std::size_t equals = entry.find('=');
    MLD_CHECK_AS(ErrorKind::usage, equals != std::string::npos && equals > 0 && equals + 1 < entry.size(),
                 "--given: ", quote(entry), " is not MODALITY=FILE");
    const std::string name = entry.substr(0, equals), file = entry.substr(equals + 1);
    MLD_CHECK_AS(ErrorKind::usage, !rows_.contains(name), "--given: modality '", name, "' is given twice");
    const data::Modality& of_name = info(name);
    rows_[name] = is_text(name, file) ? from_text(name, file) : open_samples(of_name, file, o_.read);
    record_[name] = file;
  }

  // Of tokens with words: a caption itself, or a file of captions, one a line.
  bool is_text(const std::string& name, const std::string& file) const {
    const auto type = std::filesystem::path(file).extension();
    return !model_.vocabulary(model_.modality(name)).empty() && type != ".npy" && type != ".gz";
  }
  SampleRows from_text(const std::string& name, const std::string& text) const {
    const bool file = std::filesystem::path(text).extension() == ".txt";
    const std::vector<std::string> texts =
        file ? data::text_lines(read_file(text, ErrorKind::data), text) : std::vector<std::string>{text};
    MLD_CHECK_AS(ErrorKind::data, !texts.empty(), text, ": holds no text");
    SampleRows rows = texts_as_samples(info(name), texts, model_.vocabulary(model_.modality(name)));
    for (const std::string& said : rows.done) note(cat("--given ", name, ": ", said));
    return rows;
  }

  void from_store() {
    for (const std::string& name : o_.given_mods) info(name);
    store_ = data::Store::open(o_.from);
    note(store_->unchecked_note());
    check_model_classes(model_, *store_);
    const data::Split& split = store_->split(o_.split);
    const auto [first, last] =
        o_.index.empty() ? std::pair<std::int64_t, std::int64_t>(0, o_.n) : parse_range(o_.index);
    n_ = last - first;
    for (const std::string& name : o_.given_mods)
      rows_[name] = open_samples(info(name), *store_, split, first, last);
    record_ = {{"store", o_.from}, {"split", o_.split}, {"first", first}, {"last", last}};
  }

  static SampleReader repeated(const SampleRows& rows) {
    return [one = rows.read(0, 1)](std::int64_t, std::int64_t n) {
      Values values;
      values.reserve(one.size() * static_cast<std::size_t>(n));
      for (std::int64_t k = 0; k < n; ++k) values.insert(values.end(), one.begin(), one.end());
      return values;
    };
  }

  const Model& model_;
  const Options& o_;
  std::int64_t n_;
  std::optional<data::Store> store_;
  std::map<std::string, SampleRows> rows_;
  Conditions readers_;
  nlohmann::json record_ = nlohmann::json::object(), done_ = nlohmann::json::object();
};

std::vector<SampleSet> sets_of(const Model& model, const Given& given, const std::vector<std::string>& want) {
  std::vector<SampleSet> sets;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    const bool known = given.readers().contains(info.name);
    if (known || want.empty() || std::find(want.begin(), want.end(), info.name) != want.end())
      sets.push_back({info, known, model.vocabulary(i)});
  }
  return sets;
}

SampleFolder::Names names_of(const std::vector<SampleSet>& sets) {
  SampleFolder::Names names{{"sample.json", "grid.png"}, {}};
  for (const SampleSet& set : sets) {
    names.files.push_back(set.info.name + ".npy");
    if (!set.words.empty()) names.files.push_back(set.info.name + ".txt");
    names.folders.push_back(set.info.name);
  }
  return names;
}

void run(const Options& o) {
  check(o);
  set_threads(o.threads);
  const Model model = open_model(o.run, o.device.choose());
  const SampleSettings settings = o.sampler.apply(sample_settings(model.config()), model.config().model.kind);
  const Given given(model, o);
  for (const std::string& name : o.want) {
    model.modality(name);
    MLD_CHECK_AS(ErrorKind::usage, !given.readers().contains(name), "--want: '", name, "' is a condition");
  }
  check_generate(model, given.n(), given.names(), o.want, settings);
  const std::vector<SampleSet> sets = sets_of(model, given, o.want);
  SampleFolder folder(o.out, o.force, names_of(sets));
  folder.check_room(SampleWriter::bytes(sets, given.n()), SampleWriter::largest(sets, given.n()));

  SampleWriter writer(folder.path(), sets, given.n(), {.singles = o.singles, .seed = settings.seed});
  Progress progress;
  generate_each(
      model, given.n(), given.readers(), o.want, settings,
      [&](std::int64_t first, std::int64_t n, const Samples& samples) { writer.add(first, n, samples); },
      [&](std::int64_t done, std::int64_t total) {
        progress.show("sampling", done, total);
        return !stop_requested();
      });
  progress.finish();
  nlohmann::json record{{"model", o.run},
                        {"samples", given.n()},
                        {"given", given.record()},
                        {"seed", settings.seed},
                        {"schedule", schedule_record(settings.sampler)},
                        {"network_calls", model.method().network_calls(settings)},
                        {"files", writer.finish()}};
  if (!given.done().empty()) record["given_done"] = given.done();
  write_file_atomically(folder.path() / "sample.json",
                        record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  folder.commit();
  std::printf("%s\n", (std::filesystem::path(o.out) / "sample.json").c_str());
}

}  // namespace

void add_sample_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("sample", "Generate modalities, jointly or given others");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("-n", o->n, "Samples")->type_name("N")->capture_default_str()->check(between(1, kMaxSamples));
  c->add_option("--given", o->given,
                "Condition on a picture, a WAV or npy file, or a text: one for all samples, or n in an npy "
                "or the lines of a "
                ".txt; may be repeated")
      ->type_name("MODALITY=FILE")
      ->allow_extra_args(false);
  c->add_option("--from", o->from, "Condition on samples of this store ...")->type_name("STORE");
  c->add_option("--given-mods", o->given_mods, "... these modalities of them, separated by commas")
      ->type_name("NAMES")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--split", o->split, "... of this split")->type_name("NAME")->capture_default_str();
  c->add_option("--index", o->index, "... row A, or rows A to B-1, whatever -n; default: the first n")
      ->type_name("A[:B]");
  c->add_option("--want", o->want,
                "Modalities to write, separated by commas; default: all that are not given")
      ->type_name("NAMES")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--out", o->out,
                "Folder for pictures, sounds, arrays and sample.json; samples that it holds are replaced")
      ->type_name("FOLDER")
      ->required();
  c->add_flag("--force", o->force, "Write into a folder that holds other files too, which stay");
  c->add_option("--singles", o->singles, "Samples that get picture and sound files of their own")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(0, kMaxSamples));
  c->add_flag("--resize", o->read.resize, "Resize given pictures of another size");
  c->add_flag("--resample-audio", o->read.resample_audio, "Convert given sounds of another rate or length");
  add_threads(*c, o->threads);
  o->sampler.add_to(*c);
  o->device.add_to(*c);
  c->callback([o, c] {
    for (const CLI::Option* option : c->get_options())
      if (option->count() > 0) o->named.insert(option->get_name());
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
