// The configurations that bench_steps measures, by the names of its cases.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "mld/config/config.h"

namespace mld {

inline std::int64_t number(const std::string& text) {  // 0 if it is none
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos ? std::atoll(text.c_str())
                                                                                    : 0;
}

inline Config preset(const std::string& name) {
  ConfigSources sources;
  sources.preset = name;
  return resolve_config(sources);
}

// The score networks of the benchmarks: the presets, and for PolyMNIST, which is none, five modalities of 160
// and the paper's Table 9.
inline Config score_config(const std::string& net) {
  if (net == "mhd") return preset("mhd");
  if (net == "polymnist") {
    Config config = preset("mhd");
    config.modalities.assign(5, config.modalities.front());
    for (ModalityConfig& m : config.modalities) m.latent = 160;
    config.score.width = 1536;
    config.score.batch = 256;
    config.score.d = 0.5;
    return config;
  }
  Config config = preset("mnist-svhn");
  const std::string adaln = "adaln";  // and its width
  if (net.starts_with(adaln)) {
    config.score.network = ScoreNetworkKind::adaln;
    config.score.time_dim = 128;
    config.score.fourier_features = 8;
  }
  config.score.width = number(net.starts_with(adaln) ? net.substr(adaln.size()) : net);
  MLD_CHECK_AS(ErrorKind::usage, config.score.width > 0, "unknown score network '", net, "'");
  return config;
}

}  // namespace mld
