#include "nn/checkpoint.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "engine/base/hash.h"
#include "engine/io/crc32.h"

namespace mld::nn {
namespace {

constexpr const char* kVersion = "format_version";
constexpr const char* kConfig = "config";
constexpr const char* kTraining = "training";

// One tensor of a file and the place of its values in an arena.
struct Item {
  TensorInfo info;
  const FileLayout* layout;
  Shape memory;
  std::int64_t first;
};

// An arena and its items in the file.
struct Part {
  Tensor arena;
  std::vector<Item> items;
};

template <class Entries>
Part make_part(const std::string& role, const std::string& prefix, const Tensor& arena,
               const Entries& entries) {
  Part part{.arena = arena, .items = {}};
  for (const auto& [name, data, first] : entries)
    part.items.push_back(
        {.info = {.name = role + "/" + prefix + name, .dtype = arena.dtype(), .shape = data->layout.shape},
         .layout = &data->layout,
         .memory = data->shape,
         .first = first});
  return part;
}

std::vector<Part> training_parts(std::span<const StoredModel> models) {
  std::vector<Part> parts;
  for (const auto& [prefix, store] : models) {
    MLD_CHECK(store->options().training, "checkpoint: the store of '", prefix, "' is not for training");
    parts.push_back(make_part("model", prefix, store->value(), store->parameters()));
    if (store->ema().defined()) parts.push_back(make_part("ema", prefix, store->ema(), store->parameters()));
    parts.push_back(make_part("adam.m", prefix, store->adam_m(), store->parameters()));
    parts.push_back(make_part("adam.v", prefix, store->adam_v(), store->parameters()));
    parts.push_back(make_part("buffer", prefix, store->buffer(), store->buffers()));
  }
  return parts;
}

void save(const std::filesystem::path& path, std::span<const StoredModel> models, std::vector<Part> parts,
          const FileNotes& notes) {
  for (const auto& [prefix, store] : models)
    MLD_CHECK(store->filled(), path.string(), ": model '", prefix, "' is neither initialised nor loaded");
  Metadata metadata = notes.extra;
  metadata[kVersion] = std::to_string(kFormatVersion);
  metadata[kConfig] = notes.config;
  if (const auto& s = notes.training)
    metadata[kTraining] = nlohmann::json{
        {"seed", s->seed},
        {"step", s->step},
        {"updates", s->updates},
        {"bad_steps",
         s->bad_steps}}.dump();
  std::vector<TensorSource> sources;
  for (Part& part : parts) {
    const Tensor arena = part.arena.to(kCpu);
    for (const Item& item : part.items)
      sources.push_back({.name = item.info.name,
                         .dtype = item.info.dtype,
                         .shape = item.info.shape,
                         .bytes = [values = arena.view(item.first, item.memory), layout = item.layout](
                                      std::span<std::byte> bytes) { to_file(values, *layout, bytes); }});
  }
  save_safetensors(path, sources, metadata, {.refuse_non_finite = true});
}

void fill(const SafetensorsFile& file, const Part& part) {
  const Tensor values = Tensor::zeros(part.arena.shape(), part.arena.dtype());
  std::vector<std::byte> bytes;
  for (const Item& item : part.items) {
    bytes.resize(static_cast<std::size_t>(item.info.bytes()));
    file.read(item.info.name, bytes);
    from_file(bytes, *item.layout, values.view(item.first, item.memory));
  }
  part.arena.copy_from(values.to(part.arena.device()));
}

void load(const SafetensorsFile& file, const char* as, const std::vector<Part>& parts,
          std::span<const TensorInfo> found) {
  std::vector<TensorInfo> expected;
  for (const Part& part : parts)
    for (const Item& item : part.items) expected.push_back(item.info);
  check_tensors(cat(file.path().string(), ": does not fit the model as ", as), expected, found);
  for (const Part& part : parts) fill(file, part);
}

StepState parse_training(const SafetensorsFile& file) {
  StepState state;
  try {
    const auto json = nlohmann::json::parse(file.metadata(kTraining));
    json.at("seed").get_to(state.seed);
    json.at("step").get_to(state.step);
    json.at("updates").get_to(state.updates);
    json.at("bad_steps").get_to(state.bad_steps);
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorKind::model, file.path().string(), ": metadata entry '", kTraining, "' is damaged: ", e.what());
  }
  return state;
}

FileNotes notes_of(const SafetensorsFile& file) {
  FileNotes notes;
  notes.extra = file.metadata();
  if (const auto it = notes.extra.find(kVersion); it != notes.extra.end()) {
    MLD_CHECK_AS(ErrorKind::model, it->second == std::to_string(kFormatVersion), file.path().string(),
                 ": format version '", it->second, "', this program reads version ", kFormatVersion);
    notes.extra.erase(it);
  }
  if (const auto it = notes.extra.find(kConfig); it != notes.extra.end()) {
    notes.config = it->second;
    notes.extra.erase(it);
  }
  if (notes.extra.erase(kTraining) > 0) notes.training = parse_training(file);
  return notes;
}

bool has_tensors_below(const SafetensorsFile& file, const std::string& start) {
  for (const TensorInfo& tensor : file.tensors())
    if (tensor.name.starts_with(start)) return true;
  return false;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, std::span<const StoredModel> models,
                     const FileNotes& notes) {
  MLD_CHECK(notes.training.has_value(), path.string(), ": a checkpoint needs the state of the training");
  save(path, models, training_parts(models), notes);
}

FileNotes load_checkpoint(const std::filesystem::path& path, std::span<const StoredModel> models) {
  const SafetensorsFile file(path);
  FileNotes notes = notes_of(file);
  MLD_CHECK_AS(ErrorKind::model, notes.training.has_value(), path.string(),
               ": holds weights but no state of a training; it can be used for inference only");
  load(file, "a checkpoint of its training", training_parts(models), file.tensors());
  for (const auto& [prefix, store] : models) store->mark_filled();
  return notes;
}

void save_weights(const std::filesystem::path& path, std::span<const StoredModel> models,
                  const FileNotes& notes) {
  std::vector<Part> parts;
  for (const auto& [prefix, store] : models) {
    const Tensor& best = store->ema().defined() ? store->ema() : store->value();
    parts.push_back(make_part("model", prefix, best, store->parameters()));
    parts.push_back(make_part("buffer", prefix, store->buffer(), store->buffers()));
  }
  save(path, models, std::move(parts), notes);
}

FileNotes load_weights(const std::filesystem::path& path, std::span<const StoredModel> models) {
  const SafetensorsFile file(path);
  FileNotes notes = notes_of(file);
  load_weights(file, models);
  for (const auto& [prefix, store] : models) notes.content.push_back(content_hash(file, prefix));
  return notes;
}

void load_weights(const SafetensorsFile& file, std::span<const StoredModel> models) {
  std::vector<Part> parts;
  std::vector<TensorInfo> found;
  for (const auto& [prefix, store] : models) {
    const std::string role = has_tensors_below(file, "ema/" + prefix) ? "ema" : "model";
    parts.push_back(make_part(role, prefix, store->value(), store->parameters()));
    parts.push_back(make_part("buffer", prefix, store->buffer(), store->buffers()));
    for (const TensorInfo& tensor : file.tensors())
      if (tensor.name.starts_with(role + "/" + prefix) || tensor.name.starts_with("buffer/" + prefix))
        found.push_back(tensor);
  }
  load(file, "weights for inference", parts, found);
  for (const auto& [prefix, store] : models) {
    store->reset_training();
    store->mark_filled();
  }
}

std::string content_hash(const SafetensorsFile& file, const std::string& prefix) {
  const std::string weights = (has_tensors_below(file, "ema/" + prefix) ? "ema/" : "model/") + prefix;
  const std::string buffers = "buffer/" + prefix;
  std::set<std::string> lines;
  std::vector<std::byte> bytes;
  for (const TensorInfo& tensor : file.tensors()) {
    const bool weight = tensor.name.starts_with(weights);
    if (!weight && !tensor.name.starts_with(buffers)) continue;
    bytes.resize(static_cast<std::size_t>(tensor.bytes()));
    file.read(tensor.name, bytes);
    lines.insert(cat(weight ? "weight " : "buffer ", tensor.name.substr((weight ? weights : buffers).size()),
                     " ", dtype_name(tensor.dtype), " ", tensor.shape, " ", crc32(bytes)));
  }
  std::uint64_t hash = fnv1a("");
  for (const std::string& line : lines) hash = fnv1a(line + "\n", hash);
  return hex(hash, 16);
}

FileNotes read_notes(const std::filesystem::path& path) { return read_notes(SafetensorsFile(path)); }

FileNotes read_notes(const SafetensorsFile& file) {
  FileNotes notes = notes_of(file);
  notes.content.push_back(content_hash(file, ""));
  return notes;
}

void rewrite_notes(const std::filesystem::path& path, const std::function<void(Metadata&)>& change) {
  copy_with_notes(path, path, change);
}

void copy_with_notes(const std::filesystem::path& from, const std::filesystem::path& to,
                     const std::function<void(Metadata&)>& change) {
  const SafetensorsFile file(from);
  Metadata metadata = file.metadata();
  change(metadata);
  std::vector<TensorSource> sources;
  for (const TensorInfo& tensor : file.tensors())
    sources.push_back(
        {.name = tensor.name,
         .dtype = tensor.dtype,
         .shape = tensor.shape,
         .bytes = [&file, &tensor](std::span<std::byte> bytes) { file.read(tensor.name, bytes); }});
  save_safetensors(to, sources, metadata);
}

}  // namespace mld::nn
