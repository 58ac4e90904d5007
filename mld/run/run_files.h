// What lies where in a run directory:
//   config.json                      the resolved configuration, every value
//   dataset.json                     description of the data set trained on (modalities, ranges, classes)
//   vocabulary.NAME.txt              the words of its tokens, where the data have them: one a line, by number
//   autoencoder.NAME.safetensors     one per modality: checkpoint while training, model afterwards
//   classifier.NAME.safetensors      one per modality that has a classifier
//   score.safetensors                score network with the latent statistics as buffers
//   latents.safetensors              encodings of the training split (kept_latents.h)
//   metrics.jsonl                    one line every run.log_every steps of every stage
//   evaluation.json                  the last evaluation (mldctl eval)
//   evaluation-SPLIT.json            that of another split, where one command measured several
//   samplers.json                    the last comparison of samplers (mldctl bench-samplers)
//   report.html                      for readers (mld/report/report.h)
//   evaluation[-SPLIT].old.json, samplers.old.json   those of the networks before some were trained on
//   reused.json                      which files were taken over from which run, with their hashes
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "mld/config/config.h"
#include "mld/config/stage_id.h"

namespace mld {

struct RunFiles {
  std::filesystem::path folder;

  std::filesystem::path config() const { return folder / "config.json"; }
  std::filesystem::path dataset() const { return folder / "dataset.json"; }
  std::filesystem::path vocabulary(const std::string& modality) const {
    return folder / ("vocabulary." + modality + ".txt");
  }
  std::filesystem::path checkpoint(const StageId& stage) const {
    return folder / (stage.part() + ".safetensors");
  }
  std::filesystem::path latents() const { return folder / "latents.safetensors"; }
  std::filesystem::path metrics() const { return folder / "metrics.jsonl"; }
  std::filesystem::path evaluation() const { return folder / "evaluation.json"; }
  std::filesystem::path samplers() const { return folder / "samplers.json"; }
  std::filesystem::path reused() const { return folder / "reused.json"; }
};

// NAME-SPLIT.json beside NAME.json: where results of another split stand.
std::filesystem::path of_split(const std::filesystem::path& file, const std::string& split);
// NAME.old.json for NAME.json: where results of the networks before stand.
std::filesystem::path of_networks_before(const std::filesystem::path& file);
// Results of the networks that are there: evaluation.json, those of other splits, samplers.json.
std::vector<std::filesystem::path> result_files(const RunFiles& files);

// The saved configuration and description. ErrorKind::model if the folder holds no run.
Config read_run_config(const RunFiles& files);
data::Description read_run_dataset(const RunFiles& files);

std::string read_text(const std::filesystem::path& path);  // ErrorKind::io

}  // namespace mld
