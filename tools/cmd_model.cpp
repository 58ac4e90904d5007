#include <cstdio>

#include "engine/io/safetensors.h"
#include "mld/run/model.h"
#include "mld/run/run_data.h"
#include "tools/commands.h"
#include "tools/version.h"

namespace mld::tools {
namespace {

void add_export(CLI::App& app) {
  struct Options {
    std::string run, file;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("export", "One file for inference, accepted wherever a run is");
  c->add_option("RUN", o->run, "Run directory or exported file")->type_name("")->required();
  c->add_option("FILE", o->file, "File to write, such as model.safetensors")->type_name("")->required();
  c->callback([o] {
    const Model model = open_model(o->run);
    model.save(o->file);
    for (int i = 0; i < model.modalities(); ++i)
      if (!model.reconstructs(i))
        std::fprintf(stderr, "note: the autoencoder of '%s' is not trained yet and not in the file\n",
                     model.modality(i).name.c_str());
    if (!model.generates())
      std::fprintf(stderr,
                   "note: the score network is not trained yet and not in the file: it draws no samples\n");
    std::fprintf(stderr, "wrote %s, %lld parameters\n", o->file.c_str(),
                 static_cast<long long>(model.parameters()));
  });
}

void add_inspect(CLI::App& app) {
  auto file = std::make_shared<std::string>();
  CLI::App* c = app.add_subcommand("inspect", "Tensors and metadata of a safetensors file");
  c->add_option("FILE", *file, "Checkpoint or model file")->type_name("")->required();
  c->callback([file] {
    const SafetensorsFile f(*file);
    std::int64_t values = 0;
    for (const TensorInfo& t : f.tensors()) {
      std::printf("%-56s %-4s %s\n", t.name.c_str(), dtype_name(t.dtype), t.shape.str().c_str());
      values += t.shape.numel();
    }
    std::printf("%zu tensors, %lld values\n", f.tensors().size(), static_cast<long long>(values));
    for (const auto& [key, value] : f.metadata()) std::printf("\n[%s]\n%s\n", key.c_str(), value.c_str());
  });
}

void add_version(CLI::App& app) {
  app.add_subcommand("version", "Version and optional features built in")->callback([] {
    // The first line is for programs to read.
    for (const auto& [name, value] : version_facts())
      std::printf(name == "mldctl" ? "%s %s\n" : "%-10s %s\n", name.c_str(), value.c_str());
  });
}

}  // namespace

Model open_model(const std::string& path, Device device) {
  Model model = Model::open(path, device);
  for (const std::string& line : model.unchecked()) std::fprintf(stderr, "note: %s\n", line.c_str());
  return model;
}

std::filesystem::path store_of(const std::string& named, const Model& model, const std::string& run) {
  const std::string& store = model.config().data.store;
  MLD_CHECK_AS(ErrorKind::usage, !named.empty() || !store.empty(), run,
               ": names no data; name them with --data STORE");
  return named.empty() ? find_store(store, run) : std::filesystem::path(named);
}

void add_model_commands(CLI::App& app) {
  add_export(app);
  add_inspect(app);
  add_version(app);
}

}  // namespace mld::tools
