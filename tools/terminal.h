// What the commands of mldctl share: progress on stderr, stop requests, exit codes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mld::tools {

constexpr int kExitStopped = 75;  // stopped on request; can be resumed

// Work was stopped on request; `remark` says what remains of it. Ends the program with kExitStopped.
struct Stopped {
  std::string remark;
};

// For commands that poll stop_requested(): the first SIGINT or SIGTERM asks the work to stop at the next
// step; the second one kills.
void install_stop_signals();
bool stop_requested();

// Writing beyond a limit of the file size, or to a reader that is gone, becomes an error of the call instead
// of the end of the program: a full disk ends with ErrorKind::io, and training outlives the viewer of its
// log.
void ignore_write_signals();

// A line that is rewritten in place on a terminal; plain lines, one every ten seconds, elsewhere.
class Progress {
 public:
  ~Progress();
  // `rest`: text behind the bar. A new `what` starts a new line.
  void show(const std::string& what, std::int64_t done, std::int64_t total, const std::string& rest = "");
  void note(const std::string& line);  // a line of its own
  void finish();                       // ends the line in progress

 private:
  void print(bool last);

  std::string what_, rest_;
  std::int64_t done_ = 0, total_ = 0;
  bool open_ = false;  // something was shown that is not finished
  std::chrono::steady_clock::time_point started_, printed_;
};

// A line on stderr for the user to know; nothing for an empty text.
void note(const std::string& text);

std::string duration(double seconds);  // "1:02:03" or "4:05"

}  // namespace mld::tools
