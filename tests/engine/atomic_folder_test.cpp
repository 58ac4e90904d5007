// Folders of results under kills, second writers and foreign files: engine/io/atomic_folder.h.
#include "engine/io/atomic_folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>

#include "engine/io/atomic_file.h"
#include "tests/engine/full_disk.h"
#include "tests/expect_error.h"
#include "tests/in_child.h"
#include "tests/temp_folder.h"

namespace {

using mld::AtomicFolder;
using mld::ErrorKind;
using mld::IfExists;
using mld::test::contains;
using mld::test::error_of;
using mld::test::in_child;
using mld::test::read_bytes;
using mld::test::TempFolder;
using mld::test::write_bytes;

bool can_exchange = true;      // otherwise as on a file system that cannot
int killed_before_rename = 0;  // counts down the renames of folders that are still to succeed; 0: all do

void count_rename() {
  if (killed_before_rename > 0 && --killed_before_rename == 0) ::raise(SIGKILL);
}

}  // namespace

// In place of the C library's.
extern "C" int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  count_rename();
  if (!can_exchange) {
    errno = EINVAL;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
extern "C" int rename(const char* from, const char* to) noexcept {
  count_rename();
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0U));
}

namespace {

// A destination of two files that belong together, `text` in both.
void fill(const std::filesystem::path& folder, const std::string& text) {
  std::filesystem::create_directories(folder / "sub");
  write_bytes(folder / "a", text);
  write_bytes(folder / "sub/b", text);
}

void publish(const std::filesystem::path& destination, const std::string& text,
             IfExists if_exists = IfExists::replace) {
  AtomicFolder folder(destination, if_exists);
  fill(folder.path(), text);
  folder.commit();
}

// What both files hold; "mixture" if they differ, "" if there is no such folder.
std::string content(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder)) return "";
  const std::string a = read_bytes(folder / "a");
  return a == read_bytes(folder / "sub/b") && !a.empty() ? a : "mixture";
}

}  // namespace

TEST_CASE("atomic folder: creates, fills an empty folder, replaces") {
  const TempFolder at;
  publish(at / "new", "one");
  CHECK(content(at / "new") == "one");
  std::filesystem::create_directory(at / "empty");
  publish(at / "empty", "two", IfExists::refuse);
  CHECK(content(at / "empty") == "two");
  write_bytes(at / "new/stale", "of before");
  for (const bool exchanged : {true, false}) {
    can_exchange = exchanged;
    publish(at / "new", exchanged ? "three" : "four");
    CHECK(content(at / "new") == (exchanged ? "three" : "four"));
    CHECK(!std::filesystem::exists(at / "new/stale"));
  }
  can_exchange = true;
  publish(at / "deep/er/new", "five");
  CHECK(content(at / "deep/er/new") == "five");
  CHECK(at.listing() == "deep empty new ");
}

TEST_CASE("atomic folder: given up, nothing is left and the old folder stays") {
  const TempFolder at;
  fill(at / "old", "old");
  for (const char* name : {"old", "new", "deep/er/new"}) {
    AtomicFolder folder(at / name, IfExists::replace);
    fill(folder.path(), "new");
  }
  CHECK(content(at / "old") == "old");
  CHECK(at.listing() == "old ");
}

TEST_CASE("atomic folder: what may not be replaced") {
  const TempFolder at;
  fill(at / "full", "old");
  write_bytes(at / "file", "text");
  CHECK(contains(error_of(ErrorKind::busy, [&] { AtomicFolder f(at / "full", IfExists::refuse); }),
                 "is not empty; nothing is overwritten"));
  error_of(ErrorKind::busy, [&] { AtomicFolder f(at / "file", IfExists::refuse); });
  CHECK(contains(error_of(ErrorKind::io, [&] { AtomicFolder f(at / "file", IfExists::replace); }),
                 "is not a folder"));
  error_of(ErrorKind::io, [&] { AtomicFolder f(at / "file/below", IfExists::replace); });
  error_of(ErrorKind::usage, [&] { AtomicFolder f(".", IfExists::replace); });
  error_of(ErrorKind::usage, [&] { AtomicFolder f("..", IfExists::replace); });
  error_of(ErrorKind::usage, [&] { AtomicFolder f("/", IfExists::replace); });
  {  // filled by another after the beginning
    AtomicFolder late(at / "late", IfExists::refuse);
    fill(at / "late", "of another");
    error_of(ErrorKind::busy, [&] { late.commit(); });
  }
  CHECK(content(at / "late") == "of another");
  CHECK(at.listing() == "file full late ");
}

TEST_CASE("atomic folder: one writer of a destination at a time") {
  const TempFolder at;
  std::filesystem::create_directory_symlink(at.path(), at / "link");
  std::optional<AtomicFolder> first(std::in_place, at / "out", IfExists::replace);
  for (const auto& path : {at / "out", at / "out/", at / "link/out"})
    CHECK(contains(error_of(ErrorKind::busy, [&] { AtomicFolder second(path, IfExists::refuse); }),
                   "another process is writing this folder"));
  const int status = in_child([&] {
    try {
      AtomicFolder second(at / "out", IfExists::replace);
    } catch (const mld::Error& error) {
      return static_cast<int>(error.kind());
    }
    return 0;
  });
  CHECK(WEXITSTATUS(status) == 8);
  fill(first->path(), "first");
  first->commit();
  publish(at / "out", "second");  // before `first` is gone
  first.reset();
  CHECK(content(at / "out") == "second");
}

TEST_CASE("atomic folder: a link to a folder stays, permissions stay") {
  const TempFolder at;
  fill(at / "target", "old");
  ::chmod((at / "target").c_str(), 0700);
  std::filesystem::create_directory_symlink("target", at / "link");
  publish(at / "link", "new");
  CHECK(std::filesystem::is_symlink(at / "link"));
  CHECK(content(at / "target") == "new");
  struct stat status {};
  REQUIRE(::stat((at / "target").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("atomic folder: a link to nothing is found before there is work") {
  const TempFolder at;
  std::filesystem::create_directory_symlink("nothing", at / "link");
  for (const IfExists if_exists : {IfExists::replace, IfExists::refuse}) {
    const std::string message = error_of(if_exists == IfExists::replace ? ErrorKind::io : ErrorKind::busy,
                                         [&] { AtomicFolder folder(at / "link", if_exists); });
    CHECK(contains(message, "link: exists and is "));
    CHECK(contains(error_of(ErrorKind::io, [&] { AtomicFolder folder(at / "link/below", if_exists); }),
                   "a symbolic link to nothing"));
  }
  CHECK(at.listing() == "link ");
}

TEST_CASE("atomic folder: killed while writing and before every rename") {
  for (const bool exchanged : {true, false})
    for (const bool existed : {true, false})
      for (int kill_at = 0; kill_at <= (exchanged ? 2 : 3); ++kill_at) {
        const TempFolder at;
        CAPTURE(exchanged);
        CAPTURE(existed);
        CAPTURE(kill_at);
        if (existed) fill(at / "out", "old");
        const int status = in_child([&] {
          can_exchange = exchanged;
          AtomicFolder folder(at / "out", IfExists::replace);
          fill(folder.path(), "new");
          if (kill_at == 0) ::raise(SIGKILL);
          killed_before_rename = kill_at;
          folder.commit();
          return 0;
        });
        CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
        const std::string now = content(at / "out");
        const bool between = !exchanged && existed && kill_at == 3;
        CHECK((now == (existed ? "old" : "") || (!WIFSIGNALED(status) && now == "new") || between));
        // The next attempt, even one that gives up, puts everything in order.
        { AtomicFolder next(at / "out", IfExists::replace); }
        CHECK(content(at / "out") == (WIFSIGNALED(status) ? (existed ? "old" : "") : "new"));
        publish(at / "out", "next");
        CHECK(content(at / "out") == "next");
        CHECK(at.listing() == "out ");
      }
}

TEST_CASE("atomic folder: killed after the swap, the old folder is cleared away") {
  const TempFolder at;
  fill(at / "out", "new");
  for (const char* left : {".out.partial", ".out.replaced"}) {
    fill(at / left, "old");
    AtomicFolder next(at / "out", IfExists::replace);
    CHECK(content(at / "out") == "new");
  }
  CHECK(at.listing() == "out ");
}

TEST_CASE("atomic folder: what it did not make is not touched") {
  const TempFolder at;
  fill(at / "precious", "precious");
  const auto refused = [&](const std::string& what) {
    const std::string message =
        error_of(ErrorKind::io, [&] { AtomicFolder folder(at / "out", IfExists::replace); });
    CHECK(contains(message, ".out.partial is " + what + " that this program did not make"));
    std::filesystem::remove(at / ".out.partial");
  };
  std::filesystem::create_directory_symlink("precious", at / ".out.partial");
  refused("a symbolic link");
  write_bytes(at / ".out.partial", "text");
  refused("a regular file");
  ::mkfifo((at / ".out.partial").c_str(), 0600);
  refused("a FIFO");
  CHECK(content(at / "precious") == "precious");
}

TEST_CASE("atomic folder: full disk") {
  const TempFolder at;
  fill(at / "out", "old");
  {
    const mld::test::FullDisk full(1000);
    error_of(ErrorKind::io, [&] {
      AtomicFolder folder(at / "out", IfExists::replace);
      mld::write_file_atomically(folder.path() / "a", std::string(2000, 'x'));
    });
  }
  CHECK(content(at / "out") == "old");
  CHECK(at.listing() == "out ");
}
