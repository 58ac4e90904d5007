// The commands of mldctl. Each adds its options to the parser and a callback that does the work by library
// calls; results go to stdout, everything else to stderr; errors are thrown and become exit codes in main.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/base/device.h"
#include "mld/run/model.h"
#include "mld/train/stage.h"
#include "tools/terminal.h"

namespace mld::tools {

void add_data_commands(CLI::App& app);
void add_train_command(CLI::App& app);
void add_ablate_command(CLI::App& app);
void add_experiment_command(CLI::App& app);
void add_sample_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_bench_samplers_command(CLI::App& app);
void add_compare_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_model_commands(CLI::App& app);  // export, inspect, version
void add_doctor_command(CLI::App& app);

// Opens a run or an exported file; what could not be checked of it is a line on stderr.
Model open_model(const std::string& path, Device device = kCpu);
// The store that `named` (--data) names, or, where it is empty, the one that the model was trained on.
std::filesystem::path store_of(const std::string& named, const Model& model, const std::string& run);

// Training shown by `progress` and stopped by signals.
TrainHooks train_hooks(Progress& progress);

// RUN/report.html at the end of a training. That it cannot be made is a note: the training has succeeded.
void report_training(const std::string& run, Device device, Progress& progress);

}  // namespace mld::tools
