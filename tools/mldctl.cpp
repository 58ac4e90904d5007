// mldctl: data, training, sampling and evaluation from the command line.
#include <cstdio>
#include <exception>
#include <new>

#include "engine/core/error.h"
#include "mld/sampler.h"
#include "tools/commands.h"
#include "tools/terminal.h"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 2 usage or configuration, 3 data, 4 model file, 5 training diverged, 6 device or "
    "memory,\n"
    "7 disk, 8 directory in use, 70 internal error, 75 stopped on request (continue with --resume).";

int run(int argc, char** argv) {
  CLI::App app{"Multi-modal latent diffusion: one model for joint and conditional generation", "mldctl"};
  app.require_subcommand(1);
  app.footer(kFooter);
  mld::tools::add_data_commands(app);
  mld::tools::add_train_command(app);
  mld::tools::add_sample_command(app);
  mld::tools::add_eval_command(app);
  mld::tools::add_model_commands(app);
  mld::tools::install_stop_signals();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(mld::ErrorKind::usage);
  }
  return mld::tools::stop_requested() ? mld::tools::kExitStopped : 0;
}

int report(int code, const char* message) {
  std::fprintf(stderr, "mldctl: %s\n", message);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const mld::Error& error) {
    return report(static_cast<int>(error.kind()), error.what());
  } catch (const mld::Cancelled&) {
    return report(mld::tools::kExitStopped, "stopped on request");
  } catch (const std::bad_alloc&) {
    return report(static_cast<int>(mld::ErrorKind::device), "out of memory; use a smaller batch or chunk");
  } catch (const std::exception& error) {
    return report(static_cast<int>(mld::ErrorKind::internal), error.what());
  }
}
