// What the commands of mldctl share: progress on stderr, stop requests, exit codes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mld::tools {

constexpr int kExitStopped = 75;  // stopped on request; can be resumed
constexpr int kExitUnread = 141;  // the reader of the output went away, as if by SIGPIPE

// Work was stopped on request; `remark` says what remains of it. Ends the program with kExitStopped.
struct Stopped {
  std::string remark;
};

// For commands that poll stop_requested(): the first SIGINT, SIGTERM or SIGHUP (unless that is ignored, as
// under nohup) asks the work to stop at the next step; the second one kills.
void install_stop_signals();
bool stop_requested();

// Whether nobody reads what is written to the standard output any more.
bool output_is_closed();

// Writing beyond a limit of the file size, or to a reader that is gone, becomes an error of the call
// instead of the end of the program: a full disk ends with ErrorKind::io, and training outlives the
// viewer of its log.
void ignore_write_signals();

// A line that is rewritten in place on a terminal; plain lines, one every ten seconds, elsewhere. Before the
// first line stands the number of CPU threads that do the work.
class Progress {
 public:
  ~Progress();
  // `rest`: text behind the bar. A new `what` starts a new line.
  void show(const std::string& what, std::int64_t done, std::int64_t total, const std::string& rest = "");
  // For work that reports each part as it begins: finish() shows all parts as done, an exception does not.
  void show_part(const std::string& what, std::int64_t part, std::int64_t total);
  void note(const std::string& line);  // a line of its own
  void finish();                       // ends the line in progress

 private:
  void print(bool last);
  void head();

  std::string what_, rest_;
  std::int64_t done_ = 0, total_ = 0;
  std::int64_t begun_at_ = 0;  // `done` where the line began: that of a resumed run is not 0
  bool open_ = false;          // something was shown that is not finished
  bool by_parts_ = false;
  bool headed_ = false;  // the number of threads was told
  std::chrono::steady_clock::time_point started_, printed_;
};

// A line on stderr for the user to know; nothing for an empty text.
void note(const std::string& text);

std::string duration(double seconds);  // "1:02:03" or "4:05"

}  // namespace mld::tools
