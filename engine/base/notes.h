// What the engine has to tell its user once: that a library refused a shape, say, and what took its place.
// Results are right; a program with a terminal says such a line, another may ignore it.
#pragma once

#include <functional>
#include <string>

namespace mld {

// Where notes go from now on. Those that came before there was a place wait for it. Called by whatever thread
// has something to say, one call at a time.
void set_note_handler(std::function<void(const std::string&)> handler);

void note_once(const std::string& line);  // what was said before is dropped

}  // namespace mld
