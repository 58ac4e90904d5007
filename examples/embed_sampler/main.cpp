// A trained model inside another program: generates everything jointly, then all modalities but the
// first given the first.
//   embed_sampler model.safetensors
#include <mld/mld.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embed_sampler MODEL\n");
    return 2;
  }
  try {
    const mld::Generator model = mld::Generator::open(argv[1]);
    for (const auto& m : model.modalities())
      std::printf("%s: %s, %lld values, latent %lld\n", m.name.c_str(), m.kind.c_str(),
                  static_cast<long long>(m.size), static_cast<long long>(m.latent));

    const mld::Generator::Options options{.seed = 7, .steps = 50, .jump = 10, .resample = 1, .progress = {}};
    const mld::Generator::Samples joint = model.sample(4, {}, options);
    const std::string first = model.modalities().front().name;
    const mld::Generator::Samples rest = model.sample(4, {{first, joint.at(first)}}, options);
    for (const auto& [name, values] : rest)
      std::printf("%s given %s: %zu values\n", name.c_str(), first.c_str(), values.size());
  } catch (const mld::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.kind());
  }
}
