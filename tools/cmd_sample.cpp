#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/store.h"
#include "engine/io/atomic_file.h"
#include "engine/runtime/threads.h"
#include "mld/generate.h"
#include "mld/sample_io.h"
#include "mld/sampling_record.h"
#include "tools/commands.h"
#include "tools/sampler_options.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

struct Options {
  std::string run, from, split = "test", index, out;
  std::vector<std::string> given, given_mods, want;
  std::int64_t n = 16, singles = 64;
  int threads = 0;
  ReadSampleOptions read;
  SamplerFlags sampler;
  DeviceFlags device;
};

// "a:b" or "k" as the range [first, last).
std::pair<std::int64_t, std::int64_t> parse_range(const std::string& text) {
  const auto number = [&](const std::string& part) {
    std::size_t used = 0;
    std::int64_t value = -1;
    try {
      value = std::stoll(part, &used);
    } catch (const std::exception&) {
    }
    MLD_CHECK_AS(ErrorKind::usage, value >= 0 && used == part.size(), "--index: '", text,
                 "' is not a row or a range such as 0:16");
    return value;
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {number(text), number(text) + 1};
  const std::pair range{number(text.substr(0, colon)), number(text.substr(colon + 1))};
  MLD_CHECK_AS(ErrorKind::usage, range.first < range.second, "--index: '", text, "' is empty");
  return range;
}

// Conditions, as values [n, size] by modality.
class Conditions {
 public:
  Conditions(const data::Description& dataset, const Options& o) : dataset_(dataset), o_(o) {
    MLD_CHECK_AS(ErrorKind::usage, o.given.empty() || o.from.empty(),
                 "sample: conditions come from --given or from --from, not both");
    MLD_CHECK_AS(ErrorKind::usage, o.from.empty() == o.given_mods.empty(),
                 "sample: --from and --given-mods go together");
    n_ = o.n;
    for (const std::string& entry : o.given) from_file(entry);
    if (!o.from.empty()) from_store();
    for (auto& [name, values] : samples_) repeat(name, values);
  }
  std::int64_t n() const { return n_; }
  const Samples& samples() const { return samples_; }
  const nlohmann::json& record() const { return record_; }

 private:
  const data::Modality& info(const std::string& name) const {
    return dataset_.modalities[static_cast<std::size_t>(dataset_.modality(name))];
  }

  void from_file(const std::string& entry) {
    const std::size_t equals = entry.find('=');
    MLD_CHECK_AS(ErrorKind::usage, equals != std::string::npos && equals > 0, "--given: '", entry,
                 "' is not MODALITY=FILE");
    const std::string name = entry.substr(0, equals), file = entry.substr(equals + 1);
    MLD_CHECK_AS(ErrorKind::usage, !samples_.contains(name), "--given: modality '", name, "' is given twice");
    samples_[name] = read_samples(info(name), file, o_.read);
    record_[name] = file;
  }

  void from_store() {
    const data::Store store = data::Store::open(o_.from);
    const data::Split& split = store.split(o_.split);
    const auto [first, last] =
        o_.index.empty() ? std::pair<std::int64_t, std::int64_t>(0, o_.n) : parse_range(o_.index);
    MLD_CHECK_AS(ErrorKind::usage, last <= split.num_samples(), "sample: rows ", first, ":", last,
                 " of split '", o_.split, "', which has ", split.num_samples());
    n_ = last - first;
    const auto width = static_cast<std::int64_t>(store.num_modalities());
    for (const std::string& name : o_.given_mods) {
      const int column = store.description().modality(name);
      MLD_CHECK_AS(ErrorKind::data, store.modality(column).shape == info(name).shape, o_.from, ": modality '",
                   name, "' has shape ", store.modality(column).shape, ", the model was trained on ",
                   info(name).shape);
      std::vector<std::int32_t> items;
      for (std::int64_t row = first; row < last; ++row) {
        items.push_back(split.samples()[static_cast<std::size_t>(row * width + column)]);
        MLD_CHECK_AS(ErrorKind::data, items.back() >= 0, o_.from, ": row ", row, " of split '", o_.split,
                     "' has no '", name, "'; choose other rows with --index");
      }
      samples_[name] = values_of(split, column, store.modality(column), items);
    }
    record_ = {{"store", o_.from}, {"split", o_.split}, {"first", first}, {"last", last}};
  }

  static Values values_of(const data::Split& split, int column, const data::Modality& info,
                          const std::vector<std::int32_t>& items) {
    Values values(items.size() * static_cast<std::size_t>(info.shape.numel()));
    if (!data::is_discrete(info.kind)) {
      split.gather(column, items, values);
      return values;
    }
    std::vector<std::int32_t> tokens(values.size());
    split.gather_tokens(column, items, tokens);
    std::copy(tokens.begin(), tokens.end(), values.begin());
    return values;
  }

  // One condition serves all n samples; several must be n.
  void repeat(const std::string& name, Values& values) {
    const auto size = static_cast<std::size_t>(info(name).shape.numel());
    const auto rows = static_cast<std::int64_t>(values.size() / size);
    if (rows == n_) return;
    MLD_CHECK_AS(ErrorKind::usage, rows == 1, "sample: ", rows, " conditions of '", name, "' for ", n_,
                 " samples; pass -n ", rows);
    values.reserve(size * static_cast<std::size_t>(n_));
    while (static_cast<std::int64_t>(values.size() / size) < n_)
      values.insert(values.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(size));
  }

  const data::Description& dataset_;
  const Options& o_;
  std::int64_t n_;
  Samples samples_;
  nlohmann::json record_ = nlohmann::json::object();
};

void run(const Options& o) {
  set_threads(o.threads);
  const Model model = Model::open(o.run, o.device.choose());
  const SampleSettings settings = o.sampler.apply(sample_settings(model.config()));
  const Conditions conditions(model.dataset(), o);
  for (const std::string& name : o.want) {
    model.modality(name);
    MLD_CHECK_AS(ErrorKind::usage, !conditions.samples().contains(name), "--want: '", name,
                 "' is a condition");
  }
  Progress progress;
  const Samples samples = generate(model, conditions.n(), conditions.samples(), settings,
                                   [&](std::int64_t done, std::int64_t total) {
                                     progress.show("sampling", done, total);
                                     return !stop_requested();
                                   });
  progress.finish();

  std::vector<SampleSet> sets;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    const bool given = conditions.samples().contains(info.name);
    const bool wanted = o.want.empty() || std::find(o.want.begin(), o.want.end(), info.name) != o.want.end();
    if (given)
      sets.push_back({info, conditions.samples().at(info.name), true});
    else if (wanted)
      sets.push_back({info, samples.at(info.name), false});
  }
  const std::vector<std::string> files =
      write_samples(o.out, sets, conditions.n(), {.singles = o.singles, .seed = settings.seed});
  const nlohmann::json record{{"model", o.run},
                              {"samples", conditions.n()},
                              {"given", conditions.record()},
                              {"seed", settings.seed},
                              {"schedule", schedule_record(settings.sampler)},
                              {"network_calls", make_plan(settings.sampler).network_calls},
                              {"files", files}};
  write_file_atomically(std::filesystem::path(o.out) / "sample.json", record.dump(2) + "\n");
  std::printf("%s\n", (std::filesystem::path(o.out) / "sample.json").c_str());
}

}  // namespace

void add_sample_command(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("sample", "Generate modalities, jointly or given others");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("-n", o->n, "Samples")->type_name("N")->capture_default_str()->check(between(1, kMaxSamples));
  c->add_option(
       "--given", o->given,
       "Condition on a PNG, JPEG, WAV or npy file: one for all samples, or n in an npy; may be repeated")
      ->type_name("MODALITY=FILE")
      ->allow_extra_args(false);
  c->add_option("--from", o->from, "Condition on samples of this store ...")->type_name("STORE");
  c->add_option("--given-mods", o->given_mods, "... these modalities of them, separated by commas")
      ->type_name("NAMES")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--split", o->split, "... of this split")->type_name("NAME")->capture_default_str();
  c->add_option("--index", o->index, "... row A, or rows A to B-1; default: the first n")->type_name("A[:B]");
  c->add_option("--want", o->want,
                "Modalities to write, separated by commas; default: all that are not given")
      ->type_name("NAMES")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--out", o->out, "Folder for pictures, sounds, arrays and sample.json")
      ->type_name("FOLDER")
      ->required();
  c->add_option("--singles", o->singles, "Samples that get picture and sound files of their own")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(0, kMaxSamples));
  c->add_flag("--resize", o->read.resize, "Resize given pictures of another size");
  c->add_flag("--resample-audio", o->read.resample_audio, "Convert given sounds of another rate or length");
  add_threads(*c, o->threads);
  o->sampler.add_to(*c);
  o->device.add_to(*c);
  c->callback([o] {
    install_stop_signals();
    run(*o);
  });
}

}  // namespace mld::tools
