// Wording of failed system calls and of names that come out of files, so that every message is
// one readable line.
#pragma once

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "engine/base/error.h"

namespace mld {

inline std::string system_message(int error) { return std::generic_category().message(error); }

// ErrorKind::io for a call on `path` that failed with errno value `error`; `doing` completes "cannot ...".
[[noreturn]] inline void fail_io(const std::filesystem::path& path, std::string_view doing, int error) {
  std::string remedy;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    remedy = "; free space there or choose another folder";
  if (error == EACCES || error == EPERM || error == EROFS) remedy = "; check the permissions";
  fail(ErrorKind::io, path.string(), ": cannot ", doing, ": ", system_message(error), remedy);
}

// `name` in single quotes, control characters written as \xNN, cut after 120 bytes.
inline std::string quote(std::string_view name) {
  constexpr std::size_t kMaxShown = 120;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      text += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
    } else {
      text += c;
    }
  }
  return text + (name.size() > kMaxShown ? "...'" : "'");
}

}  // namespace mld
