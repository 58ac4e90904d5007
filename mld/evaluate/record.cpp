#include "mld/evaluate/record.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "data/store/json_fields.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "mld/config/config.h"
#include "mld/diffusion/sampling_record.h"

namespace mld {
namespace {

using data::JsonFields;
using nlohmann::json;
using record::Demand, record::Entry, record::Fields, record::kKnown, record::kNeeded, record::kShown;

class Writer {
 public:
  explicit Writer(const Evaluation& e) : evaluation_(e) {}
  const json& out() const { return out_; }

  template <class T>
  void operator()(const char* key, const T& value, Entry) {
    out_[key] = value;
  }
  template <class T>
  void sparse(const char* key, const std::optional<T>& value, Entry) {
    if (value) out_[key] = *value;
  }
  void sparse(const char* key, std::int64_t count, Entry) {
    if (count != record::kNoCount) out_[key] = count;
  }
  template <class T>
  void sparse(const char* key, const T& value, Entry) {
    if (!value.empty()) out_[key] = value;
  }
  void flag(const char* key, bool set, const char* text) {
    if (set) out_[key] = text;
  }
  void given(const char* key, Subset set) { out_[key] = evaluation_.names(set); }
  void target(const char* key, int i) { out_[key] = evaluation_.name(i); }
  void others(const char* key, Subset set) {
    given(key, full_set(static_cast<int>(evaluation_.modalities.size())) & ~set);
  }
  void ratio(const char* key, const Share& share) { out_[key] = share.value; }
  void modalities(const char* key, const std::vector<std::string>& names) { out_[key] = names; }
  template <class T>
  void by_modality(const char* key, const std::vector<T>& values, Entry) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!is_nothing(values[i])) out_[key][evaluation_.modalities[i]] = values[i];
  }
  void schedule(const char* key, bool generated, const SamplerOptions& sampler) {
    if (generated) out_[key] = schedule_record(sampler);
  }
  template <class F>
  void object(const char* key, Entry, bool there, F f) {
    if (!there) return;
    Writer inner(evaluation_);
    f(inner);
    out_[key] = inner.out_;
  }
  template <class T>
  void list(const char* key, const std::vector<T>& cells, Entry) {
    json& all = out_[key] = json::array();
    for (const T& cell : cells) {
      Writer inner(evaluation_);
      Fields<T>::visit(cell, inner);
      all.push_back(inner.out_);
    }
  }
  template <class T>
  void sparse_list(const char* key, const std::vector<T>& cells, Entry entry) {
    if (!cells.empty()) list(key, cells, entry);
  }

 private:
  static bool is_nothing(const std::string& text) { return text.empty(); }
  static bool is_nothing(std::int64_t) { return false; }

  const Evaluation& evaluation_;
  json out_ = json::object();
};

// The name of a modality or of several as its place among those of a file.
struct Names {
  std::vector<std::string> known;
  bool may_grow = false;  // by names that are not known

  int index(const std::string& name, const std::string& place) {
    const auto found = std::ranges::find(known, name);
    if (found != known.end()) return static_cast<int>(found - known.begin());
    MLD_CHECK_AS(ErrorKind::data, may_grow && known.size() < kMaxModalities, place, ": ", quote(name),
                 " is no modality of this file; it has ", join(known));
    known.push_back(name);
    return static_cast<int>(known.size()) - 1;
  }

  Subset set(const std::string& names, const std::string& place) {
    Subset set = 0;
    for (std::size_t begin = 0; !names.empty() && begin <= names.size();) {
      const std::size_t end = std::min(names.find(',', begin), names.size());
      set |= Subset{1} << index(names.substr(begin, end - begin), place);
      begin = end + 1;
    }
    return set;
  }
};

class Reader {
 public:
  // `place` is the object's in the file. `strict`: what an entry demands is an error; otherwise what does not
  // fulfil it counts as absent.
  Reader(const data::Json& object, const std::string& file, const std::string& place, Names& names,
         bool strict)
      : fields_(object, file, place),
        json_(object),
        file_(file),
        place_(place),
        names_(names),
        strict_(strict) {}

  template <class T>
  void operator()(const char* key, T& value, Entry entry) {
    value = absent(T{});
    read(key, entry, [&] { get(key, value, entry); });
  }
  template <class T>
  void sparse(const char* key, T& value, Entry entry) {
    (*this)(key, value, entry);
  }
  void flag(const char* key, bool& set, const char* text) {
    read(key, kKnown, [&] { set = fields_.string(key) == text; });
  }
  void given(const char* key, Subset& set) {
    set = 0;
    read(key, kNeeded, [&] { set = names_.set(fields_.string(key), fields_.place(key)); });
  }
  void target(const char* key, int& i) {
    i = -1;
    read(key, kNeeded, [&] { i = names_.index(fields_.string(key), fields_.place(key)); });
  }
  void others(const char*, Subset) {}
  // A number; in older files an object with its value.
  void ratio(const char* key, Share& share) {
    read(key, kShown, [&] {
      const data::Json& found = json_.at(key);
      share.value = found.is_object() ? fields_.object(key).number("value") : fields_.number(key);
    });
  }
  void modalities(const char* key, std::vector<std::string>& names) {
    read(key, kNeeded, [&] {
      names = fields_.strings(key);
      MLD_CHECK_AS(ErrorKind::data, !names.empty() && names.size() <= kMaxModalities, fields_.place(key),
                   ": found ", names.size(), ", expected 1 to ", kMaxModalities);
    });
    names_.known = names;
  }
  template <class T>
  void by_modality(const char* key, std::vector<T>& values, Entry entry) {
    read(key, entry, [&] {
      JsonFields of = fields_.object(key);
      for (const std::string& name : of.keys()) {
        const auto i = static_cast<std::size_t>(names_.index(name, of.place(name)));
        if (values.size() <= i) values.resize(i + 1);
        if constexpr (std::is_same_v<T, std::string>)
          values[i] = of.string(name);
        else
          values[i] = of.integer(name, 0, INT64_MAX);
      }
    });
  }
  void schedule(const char* key, bool& generated, SamplerOptions& sampler) {
    read(key, kKnown, [&] {
      JsonFields f = fields_.object(key);
      sampler = read_schedule(f);
      generated = true;
    });
  }
  template <class F>
  void object(const char* key, Entry entry, bool, F f) {
    read(key, entry, [&] {
      (void)fields_.object(key);  // the error, if it is none
      Reader inner(json_.at(key), file_, place_of(key), names_, strict_);
      f(inner);
    });
  }
  template <class T>
  void list(const char* key, std::vector<T>& cells, Entry entry) {
    const bool strict = strict_ && entry.demand != Demand::shown;
    read(key, entry, [&] {
      const data::Json& found = json_.at(key);
      if (strict || !found.is_array()) (void)fields_.objects(key);  // the error, if it is no list of objects
      static const data::Json kNothing = data::Json::object();
      for (std::size_t k = 0; k < found.size(); ++k) {
        const data::Json& cell = found[k].is_object() ? found[k] : kNothing;
        Reader inner(cell, file_, cat(place_of(key), "[", k, "]"), names_, strict);
        Fields<T>::visit(cells.emplace_back(), inner);
      }
    });
  }
  template <class T>
  void sparse_list(const char* key, std::vector<T>& cells, Entry entry) {
    list(key, cells, entry);
  }

 private:
  template <class F>
  void read(const char* key, Entry entry, F f) {
    const bool strict = strict_ && entry.demand != Demand::shown;
    if (!fields_.has(key) && !(strict && entry.demand == Demand::needed)) return;
    if (strict) return f();
    try {
      f();
    } catch (const Error&) {  // counts as absent
    }
  }

  std::string place_of(const char* key) const { return cat(place_, place_.empty() ? "" : ".", key); }

  static double absent(double) { return record::kNoNumber; }
  static std::int64_t absent(std::int64_t) { return record::kNoCount; }
  template <class T>
  static T absent(T nothing) {
    return nothing;
  }

  void get(const char* key, std::string& value, Entry) { value = fields_.string(key); }
  void get(const char* key, double& value, Entry) { value = fields_.number(key); }
  void get(const char* key, std::uint64_t& value, Entry) { value = fields_.seed(key); }
  void get(const char* key, bool& value, Entry) { value = fields_.boolean(key); }
  void get(const char* key, std::int64_t& value, Entry entry) {
    value = fields_.integer(key, entry.lowest, INT64_MAX);
  }
  void get(const char* key, std::vector<std::string>& value, Entry) { value = fields_.strings(key); }
  void get(const char* key, std::vector<double>& value, Entry) { value = fields_.numbers(key); }
  void get(const char* key, std::vector<std::int64_t>& value, Entry) {
    for (const double number : fields_.numbers(key)) value.push_back(static_cast<std::int64_t>(number));
  }
  void get(const char* key, std::map<std::string, std::string>& value, Entry) {
    JsonFields f = fields_.object(key);
    for (const std::string& name : f.keys()) value[name] = f.string(name);
  }
  template <class T>
  void get(const char* key, std::optional<T>& value, Entry entry) {
    T found{};
    get(key, found, entry);
    value = found;
  }

  JsonFields fields_;
  const data::Json& json_;
  std::string file_, place_;
  Names& names_;
  bool strict_;
};

// Numbers of no samples, which older files have as 0, in means too.
void leave_out_unfounded(Evaluation& e) {
  std::set<std::int64_t> sizes;  // of given sets
  for (const CoherenceCell& c : e.conditional)
    if (c.coherence.n == 0) sizes.insert(std::popcount(c.given));
  std::erase_if(e.leave_one_out, [&](const LeaveOneOut& l) { return sizes.contains(l.size); });
  const auto unfounded = [](const auto& cell) { return cell.coherence.n == 0; };
  for (auto* cells : {&e.classifier, &e.self, &e.conditional}) std::erase_if(*cells, unfounded);
  std::erase_if(e.robustness, unfounded);
  if (e.joint.all_equal.n == 0) e.joint.all_equal = {};
}

Evaluation read(const data::Json& object, const std::string& file, bool strict) {
  Names names{.known = {}, .may_grow = !strict};
  Evaluation e;
  Reader reader(object, file, "", names, strict);
  Fields<Evaluation>::visit(e, reader);
  e.modalities = names.known;
  e.classifier_hash.resize(e.modalities.size());
  if (e.metrics.empty()) e.metrics = {"coherence", "quality"};  // older files
  leave_out_unfounded(e);
  return e;
}

// Bytes that are no UTF-8, which JSON cannot hold, are replaced.
std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// Half the size of indented text, and differences between files still show.
std::string by_lines(const json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) {
    text += (text.empty() ? "{\n" : ",\n") + json(key).dump() + ": ";
    if (!value.is_array() || value.empty() || !value[0].is_object()) {
      text += dumped(value);
      continue;
    }
    for (std::size_t i = 0; i < value.size(); ++i) text += (i == 0 ? "[\n  " : ",\n  ") + dumped(value[i]);
    text += "]";
  }
  return text + "\n}\n";
}

// Whether two files are of the same networks, as far as the older of them says (nothing: it says otherwise;
// false: it does not say) and measured in the same way.
std::optional<bool> measured_alike(const json& now, const json& old) {
  const auto stamp = [](const json& file, const char* key) { return file.value(key, json()); };
  for (const char* key : {"samples", "split", "rows", "given_sets", "distinct", "weights", "modalities",
                          "classifier_hash", "seed", "schedule", "network_calls"})
    if (stamp(now, key) != stamp(old, key)) return {};
  bool checked = true;
  const auto differs = [&](const json& a, const json& b) {
    checked = checked && !b.is_null();
    return !b.is_null() && a != b;
  };
  json run = stamp(now, "run"), old_run = stamp(old, "run");
  if (!old_run.is_object() || differs(run["weights_hash"], old_run["weights_hash"])) return {};
  if (now.contains("fingerprint") && differs(now["fingerprint"], stamp(old, "fingerprint"))) return {};
  run.erase("weights_hash");
  old_run.erase("weights_hash");
  if (run != old_run) return {};
  return checked;
}

}  // namespace

std::string to_json(const Evaluation& e) {
  Writer writer(e);
  Fields<Evaluation>::visit(e, writer);
  return by_lines(writer.out());
}

Evaluation parse_evaluation(const std::string& text, const std::string& file) {
  return read(data::parse_json(text, file), file, true);
}

Evaluation shown_evaluation(const std::string& text, const std::string& file) {
  const data::Json object = data::Json::parse(text, nullptr, false);
  MLD_CHECK_AS(ErrorKind::data, object.is_object(), file,
               ": not an evaluation; remove it or make it again with `mldctl eval`");
  return read(object, file, false);
}

std::string with_parts_of(const std::string& now, const std::string& before) {
  json out = json::parse(now);
  const json old = json::parse(before, nullptr, false);
  if (!old.is_object()) return now;
  const std::optional<bool> checked = measured_alike(out, old);
  if (!checked) return now;
  const auto lacks = [&](const std::string& key) {
    return !out.contains(key) || (out[key].is_array() && out[key].empty());
  };
  for (const auto& [key, value] : old.items())
    if (lacks(key)) out[key] = value;
  for (const char* list : {"metrics", "notes"})
    if (old.contains(list))
      for (const json& entry : old[list])
        if (std::ranges::find(out[list], entry) == out[list].end()) out[list].push_back(entry);
  if (!*checked)
    out["notes"].push_back(
        "older parts of this file do not say of which weights and data they are; that was not checked");
  return by_lines(out);
}

}  // namespace mld
