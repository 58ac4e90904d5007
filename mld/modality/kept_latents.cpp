#include "mld/modality/kept_latents.h"

#include <optional>
#include <span>

#include "engine/io/files.h"
#include "engine/io/safetensors.h"

namespace mld {
namespace {

Metadata notes_of(const std::string& fingerprint, const std::vector<LatentSource>& sources) {
  Metadata notes{{"data", fingerprint}};
  for (const LatentSource& s : sources) notes["autoencoder." + s.modality] = s.content;
  return notes;
}

// None if the file is of other data or autoencoders.
std::optional<std::vector<Tensor>> read(const std::filesystem::path& path, const Metadata& expected,
                                        const std::vector<LatentSource>& sources) {
  const SafetensorsFile file(path);
  if (file.metadata() != expected || file.tensors().size() != sources.size()) return {};
  std::vector<Tensor> latents;
  for (const LatentSource& s : sources) {
    const TensorInfo* info = file.find(s.modality);
    if (!info || info->dtype != DType::f32 || info->shape != Shape({s.items, s.dim})) return {};
    latents.push_back(Tensor::empty(info->shape, DType::f32));
    file.read(s.modality, {latents.back().raw(), static_cast<std::size_t>(latents.back().bytes())});
  }
  return latents;
}

// The same; a damaged file is said and counts as none.
std::optional<std::vector<Tensor>> read_if_whole(const std::filesystem::path& path, const Metadata& expected,
                                                 const std::vector<LatentSource>& sources,
                                                 const std::function<void(const std::string&)>& note) {
  if (!path_exists(path)) return {};
  try {
    return read(path, expected, sources);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::model) throw;
    note(cat(error.what(), "; the items are encoded anew"));
    return {};
  }
}

}  // namespace

std::vector<Tensor> kept_latents(const std::filesystem::path& file, const std::string& fingerprint,
                                 const std::vector<LatentSource>& sources,
                                 const std::function<void(const std::string&)>& note) {
  const Metadata notes = notes_of(fingerprint, sources);
  if (!fingerprint.empty())
    if (auto kept = read_if_whole(file, notes, sources, note)) return *kept;
  std::vector<Tensor> latents;
  for (const LatentSource& s : sources) {
    latents.push_back(s.encode());
    MLD_CHECK(latents.back().shape() == Shape({s.items, s.dim}), "latents of '", s.modality,
              "': ", latents.back().shape(), ", expected [", s.items, ",", s.dim, "]");
  }
  if (fingerprint.empty()) return latents;
  std::vector<TensorSource> tensors;
  for (std::size_t i = 0; i < sources.size(); ++i)
    tensors.push_back(
        {sources[i].modality, DType::f32, latents[i].shape(),
         std::span<const std::byte>(latents[i].raw(), static_cast<std::size_t>(latents[i].bytes()))});
  try {
    save_safetensors(file, tensors, notes, {.refuse_non_finite = true});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    note(cat(error.what(), "; training goes on, the items are encoded again the next time"));
  }
  return latents;
}

}  // namespace mld
