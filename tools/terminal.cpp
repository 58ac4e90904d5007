#include "tools/terminal.h"

#include <poll.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <utility>

#include "engine/threads/threads.h"

namespace mld::tools {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

void on_signal(int) { stop_flag = 1; }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool on_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  return terminal;
}

constexpr double kTerminalInterval = 0.2, kPlainInterval = 10;  // seconds

}  // namespace

void install_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  // The second signal has its default effect; calls in progress go on.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup = {};
  if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, nullptr);
}

void ignore_write_signals() {
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() { return stop_flag != 0; }

bool output_is_closed() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

Progress::~Progress() {
  if (open_) print(true);
}

void Progress::show(const std::string& what, std::int64_t done, std::int64_t total, const std::string& rest) {
  if (what != what_) {
    finish();
    what_ = what;
    begun_at_ = done;
    started_ = printed_ = std::chrono::steady_clock::now();
  }
  by_parts_ = false;
  done_ = done;
  total_ = total;
  rest_ = rest;
  const bool first = !open_;
  open_ = true;
  const double interval = on_terminal() ? kTerminalInterval : kPlainInterval;
  const bool due = (first && on_terminal()) || seconds_since(printed_) >= interval;
  if (due && done < total) print(false);  // the last state is finish()'s
}

void Progress::show_part(const std::string& what, std::int64_t part, std::int64_t total) {
  show(what, part, total);
  by_parts_ = true;
}

void Progress::note(const std::string& line) {
  finish();
  head();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::finish() {
  if (by_parts_) done_ = total_;
  if (open_) print(true);
  open_ = by_parts_ = false;
  what_.clear();
}

void Progress::head() {
  if (!std::exchange(headed_, true)) std::fprintf(stderr, "CPU threads: %s\n", describe_threads().c_str());
}

void Progress::print(bool last) {
  head();
  printed_ = std::chrono::steady_clock::now();
  const double elapsed = seconds_since(started_);
  std::string line = what_ + "  " + std::to_string(done_) + "/" + std::to_string(total_);
  if (!rest_.empty()) line += "  " + rest_;
  if (last)
    line += "  in " + duration(elapsed);
  else if (done_ > begun_at_ && total_ > done_)
    line += "  ETA " +
            duration(elapsed / static_cast<double>(done_ - begun_at_) * static_cast<double>(total_ - done_));
  if (on_terminal())
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  else
    std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stderr);
}

void note(const std::string& text) {
  if (!text.empty()) std::fprintf(stderr, "%s\n", text.c_str());
}

std::string duration(double seconds) {
  const auto total = static_cast<std::int64_t>(seconds + 0.5);
  char text[32];
  if (total >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(total / 3600),
                  static_cast<long long>(total / 60 % 60), static_cast<long long>(total % 60));
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(total / 60),
                  static_cast<long long>(total % 60));
  return text;
}

}  // namespace mld::tools
