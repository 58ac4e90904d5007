#include "mld/config/hashes.h"

#include "mld/config/config_json.h"

namespace mld {

using config::Keys;
using config::OrderedJson;
using config::value_json;

namespace {

OrderedJson autoencoder_json(const ModalityConfig& modality) {
  OrderedJson object = value_json(modality, Keys::fingerprint);
  for (const char* other : {"weight", "vae_weight", "nexus_weight", "nexus_upper", "nexus_scale", "fresh",
                            "classifier", "classifier_training"})
    object.erase(other);
  return object;
}

}  // namespace

std::string stage1_hash(const ModalityConfig& modality) {
  return config::fingerprint(autoencoder_json(modality));
}

std::string classifier_hash(const ModalityConfig& modality) {
  OrderedJson object;
  const OrderedJson whole = value_json(modality, Keys::fingerprint);
  for (const char* key : {"name", "units", "classifier", "classifier_training"})
    if (whole.contains(key)) object[key] = whole[key];
  return config::fingerprint(object);
}

std::string classifiers_hash(const Config& config) {
  std::string all;
  for (const ModalityConfig& modality : config.modalities) all += classifier_hash(modality);
  return hex(fnv1a(all), 16);
}

std::string score_hash(const Config& config) {
  OrderedJson object = {{"model", value_json(config.model, Keys::fingerprint)}};
  if (is_vae(config.model.kind)) {
    object["vae"] = value_json(config.vae, Keys::fingerprint);
    for (const ModalityConfig& m : config.modalities) {
      object["modalities"].push_back({autoencoder_json(m), m.vae_weight, m.nexus_weight});
      if (m.nexus_upper != 1) object["modalities"].back().push_back(m.nexus_upper);
      if (m.nexus_scale != LatentScale::fixed) object["modalities"].back().push_back("optimal scale");
    }
    return config::fingerprint(object);
  }
  object["score"] = value_json(config.score, Keys::fingerprint);
  for (const ModalityConfig& modality : config.modalities) {
    object["modalities"].push_back({autoencoder_json(modality), modality.weight});
    if (!modality.fresh) object["modalities"].back().push_back("its own items");
  }
  return config::fingerprint(object);
}

}  // namespace mld
