// mldctl: data, training, sampling and evaluation from the command line.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/base/notes.h"
#include "engine/io/file_error.h"
#include "mld/diffusion/sampler.h"
#include "tools/commands.h"
#include "tools/option_checks.h"
#include "tools/terminal.h"
#include "tools/version.h"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 2 usage or configuration, 3 data, 4 model file, 5 training diverged, 6 device or "
    "memory,\n"
    "7 disk, 8 folder in use or holding another run, 70 internal error, 75 stopped on request (--resume "
    "continues), 141 the reader of the output went away.";

// Thrown when the reader of the output went away, which is no failure of ours.
struct Unread {};

// What follows "mldctl: " where the arguments cannot be understood.
std::string usage_problem(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string path = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += " " + command->get_name();
  }
  std::vector<std::string> commands, options;
  for (const CLI::App* c : command->get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(c->get_name());
  for (const CLI::Option* option : command->get_options())
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);

  const std::vector<std::string> unknown = app.remaining(true);
  std::string problem = error.what();
  if (!unknown.empty()) {  // said before anything that is missing: it often is what is missing, misspelt
    const bool option = unknown.front().starts_with('-');
    const std::string word = option ? unknown.front().substr(0, unknown.front().find('=')) : unknown.front();
    const std::string guess = mld::nearest(word, option ? options : commands);
    problem = mld::quote(word) +
              (option             ? ": unknown option"
               : commands.empty() ? ": unexpected argument"
                                  : ": unknown command") +
              (guess.empty() ? "" : ", did you mean " + guess + "?");
  } else if (!commands.empty()) {
    problem = "a command is required: " + mld::join(commands);
  }
  return problem + "; see `" + path + " --help`";
}

void run(int argc, char** argv) {
  CLI::App app{"Multi-modal latent diffusion: one model for joint and conditional generation", "mldctl"};
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", [] { return mld::tools::version_facts().front().second; });
  mld::tools::add_data_commands(app);
  mld::tools::add_train_command(app);
  mld::tools::add_ablate_command(app);
  mld::tools::add_experiment_command(app);
  mld::tools::add_sample_command(app);
  mld::tools::add_eval_command(app);
  mld::tools::add_bench_samplers_command(app);
  mld::tools::add_compare_command(app);
  mld::tools::add_report_command(app);
  mld::tools::add_model_commands(app);
  mld::tools::add_doctor_command(app);
  mld::tools::refuse_empty_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) mld::fail(mld::ErrorKind::usage, usage_problem(app, error));
    app.exit(error);  // prints the help that was asked for
  }
  const bool flushed = std::fflush(stdout) == 0;
  const int error = flushed ? EIO : errno;
  if (flushed && !std::ferror(stdout)) return;
  if (error == EPIPE || mld::tools::output_is_closed()) throw Unread{};
  mld::fail_io("standard output", "write", error);
}

int report(int code, const std::string& message) {
  std::fprintf(stderr, "mldctl: %s\n", message.c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  mld::tools::ignore_write_signals();
  mld::set_note_handler([](const std::string& line) { mld::tools::note("note: " + line); });
  // One flush at the end, whose error tells why what was printed cannot be written.
  static char output[1 << 20];
  if (::isatty(STDOUT_FILENO) == 0) std::setvbuf(stdout, output, _IOFBF, sizeof output);
  try {
    run(argc, argv);
    return 0;
  } catch (const mld::Error& error) {
    return report(static_cast<int>(error.kind()), error.what());
  } catch (const mld::tools::Stopped& stopped) {
    return report(mld::tools::kExitStopped, "stopped on request; " + stopped.remark);
  } catch (const mld::Cancelled&) {
    return report(mld::tools::kExitStopped, "stopped on request");
  } catch (const Unread&) {
    return mld::tools::kExitUnread;
  } catch (const std::filesystem::filesystem_error& error) {
    return report(static_cast<int>(mld::ErrorKind::io),
                  error.path1().string() + ": cannot be used: " + error.code().message());
  } catch (const std::bad_alloc&) {
    return report(static_cast<int>(mld::ErrorKind::device), "out of memory; use a smaller batch or chunk");
  } catch (const std::exception& error) {
    return report(static_cast<int>(mld::ErrorKind::internal), error.what());
  }
}
