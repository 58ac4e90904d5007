#include "engine/io/jsonl.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/io/atomic_file.h"
#include "engine/io/file_error.h"

namespace mld {
namespace {

// Length of the part that consists of complete lines.
std::int64_t complete_size(const std::filesystem::path& path, int fd) {
  std::int64_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) fail_io(path, "read", errno);
  char block[4096];
  while (end > 0) {
    const std::int64_t begin = std::max<std::int64_t>(0, end - static_cast<std::int64_t>(sizeof block));
    const ssize_t got = ::pread(fd, block, static_cast<std::size_t>(end - begin), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got != end - begin) fail_io(path, "read", got < 0 ? errno : EIO);
    for (std::int64_t i = end; i > begin; --i)
      if (block[i - begin - 1] == '\n') return i;
    end = begin;
  }
  return 0;
}

}  // namespace

std::string json_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return std::isfinite(value) ? text : "null";
}

JsonLine& JsonLine::text(std::string_view key, const std::string& value) {
  return raw(key, nlohmann::json(value).dump());
}
JsonLine& JsonLine::integer(std::string_view key, std::int64_t value) {
  return raw(key, std::to_string(value));
}
JsonLine& JsonLine::number(std::string_view key, double value) { return raw(key, json_number(value)); }

JsonLine& JsonLine::raw(std::string_view key, const std::string& value) {
  line_ += (line_.size() > 1 ? "," : "") + nlohmann::json(key).dump() + ":" + value;
  return *this;
}

JsonlWriter::JsonlWriter(std::filesystem::path path) : path_(std::move(path)) {
  open();
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) fail_io(path_, "append", errno);
  MLD_CHECK_AS(ErrorKind::io, S_ISREG(status.st_mode), path_.string(),
               ": cannot append: not a regular file but ", file_type(status), "; move it away");
  if (status.st_nlink > 1) {  // a copy of the folder by links: its other names keep what they have
    write_file_atomically(path_, read_file(path_, ErrorKind::io));
    open();
  }
  size_ = complete_size(path_, fd_.get());
  if (::ftruncate(fd_.get(), size_) != 0) fail_io(path_, "append", errno);
}

void JsonlWriter::open() {
  fd_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666));
  if (!fd_) fail_io(path_, "open for appending", errno);
}

void JsonlWriter::append(std::string_view object) {
  MLD_CHECK(object.find('\n') == std::string_view::npos, path_.string(),
            ": a line must not contain a line break");
  const std::string line = std::string(object) + '\n';
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t written =
        ::pwrite(fd_.get(), line.data() + done, line.size() - done, size_ + static_cast<std::int64_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      // If even this fails, the torn line goes when the file is opened next.
      [[maybe_unused]] const int result = ::ftruncate(fd_.get(), size_);
      fail_io(path_, "append", error);
    }
    done += static_cast<std::size_t>(written);
  }
  size_ += static_cast<std::int64_t>(line.size());
}

void JsonlWriter::flush() {
  if (::fsync(fd_.get()) != 0) fail_io(path_, "flush to disk", errno);
}

void truncate_jsonl(const std::filesystem::path& path,
                    const std::function<bool(std::string_view line)>& keep) {
  if (!path_exists(path)) return;
  const std::string text = read_file(path, ErrorKind::io);
  std::size_t kept = 0;
  for (std::size_t end; (end = text.find('\n', kept)) != std::string::npos; kept = end + 1)
    if (!keep(std::string_view(text).substr(kept, end - kept))) break;
  if (kept != text.size()) write_file_atomically(path, std::string_view(text).substr(0, kept));
}

void truncate_jsonl_to_step(const std::filesystem::path& path, std::int64_t step, std::string_view stage) {
  truncate_jsonl(path, [&](std::string_view line) {
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return true;
    const auto found = object.find("step");
    if (found == object.end() || !found->is_number_integer() || found->get<std::int64_t>() <= step)
      return true;
    if (stage.empty()) return false;
    const auto named = object.find("stage");
    return named == object.end() || !named->is_string() || named->get_ref<const std::string&>() != stage;
  });
}

}  // namespace mld
