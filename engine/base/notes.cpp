#include "engine/base/notes.h"

#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace mld {
namespace {

struct Notes {
  std::mutex mutex;
  std::set<std::string> said;
  std::vector<std::string> waiting;
  std::function<void(const std::string&)> handler;
};
Notes& notes() {
  static auto* all = new Notes;
  return *all;
}

}  // namespace

void set_note_handler(std::function<void(const std::string&)> handler) {
  Notes& all = notes();
  const std::lock_guard lock(all.mutex);
  all.handler = std::move(handler);
  if (!all.handler) return;
  for (const std::string& line : std::exchange(all.waiting, {})) all.handler(line);
}

void note_once(const std::string& line) {
  Notes& all = notes();
  const std::lock_guard lock(all.mutex);
  if (!all.said.insert(line).second) return;
  if (all.handler)
    all.handler(line);
  else
    all.waiting.push_back(line);
}

}  // namespace mld
