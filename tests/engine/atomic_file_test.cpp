// Files under crashes, full disks and second processes: engine/io/{atomic_file,jsonl,lock_file}.h.
#include "engine/io/atomic_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <optional>

#include "engine/io/crc32.h"
#include "engine/io/jsonl.h"
#include "engine/io/lock_file.h"
#include "tests/engine/full_disk.h"
#include "tests/expect_error.h"
#include "tests/in_child.h"
#include "tests/temp_folder.h"

namespace {

using mld::AtomicFile;
using mld::ErrorKind;
using mld::JsonlWriter;
using mld::LockFile;
using mld::test::contains;
using mld::test::error_of;
using mld::test::FullDisk;
using mld::test::in_child;
using mld::test::read_bytes;
using mld::test::TempFolder;
using mld::test::write_bytes;

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  CHECK(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("crc32: the check value, and continuation") {
  const std::string digits = "123456789";
  const auto bytes = std::as_bytes(std::span(digits));
  CHECK(mld::crc32(bytes) == 0xcbf43926U);
  CHECK(mld::crc32(bytes.subspan(4), mld::crc32(bytes.first(4))) == 0xcbf43926U);
  CHECK(mld::crc32({}) == 0);
  CHECK(mld::crc_text(0xcbf43926U) == "cbf43926");
  CHECK(mld::crc_text(0xaU) == "0000000a");
}

TEST_CASE("atomic file: creates and replaces") {
  const TempFolder folder;
  mld::write_file_atomically(folder / "a", "one");
  CHECK(read_bytes(folder / "a") == "one");
  AtomicFile file(folder / "a");
  file.write("hello ");
  file.write("world");
  const std::string capital = "W";
  file.write_at(6, std::as_bytes(std::span(capital)));
  CHECK(read_bytes(folder / "a") == "one");
  error_of(ErrorKind::internal, [&] { file.write_at(11, std::as_bytes(std::span(capital))); });
  file.commit();
  CHECK(read_bytes(folder / "a") == "hello World");
  CHECK(folder.listing() == "a ");
  error_of(ErrorKind::internal, [&] { file.write("more"); });
  error_of(ErrorKind::internal, [&] { file.commit(); });
}

TEST_CASE("atomic file: given up, the old file stays and the temporary goes") {
  const TempFolder folder;
  write_bytes(folder / "a", "old");
  { AtomicFile(folder / "a").write("new"); }
  CHECK(read_bytes(folder / "a") == "old");
  CHECK(folder.listing() == "a ");
}

TEST_CASE("atomic file: a process killed while writing leaves the old file, and the next write works") {
  const TempFolder folder;
  write_bytes(folder / "a", "old");
  const int status = in_child([&] {
    AtomicFile file(folder / "a");
    file.write("a long text that must not survive");
    return ::raise(SIGKILL);
  });
  CHECK(WIFSIGNALED(status));
  CHECK(read_bytes(folder / "a") == "old");
  mld::write_file_atomically(folder / "a", "new");
  CHECK(read_bytes(folder / "a") == "new");
  CHECK(folder.listing() == "a ");
}

TEST_CASE("atomic file: one writer at a time") {
  const TempFolder folder;
  {
    AtomicFile first(folder / "a");
    CHECK(contains(error_of(ErrorKind::busy, [&] { AtomicFile second(folder / "a"); }), "another process"));
    first.write("first");
    first.commit();
    AtomicFile third(folder / "a");  // before `first` is gone
  }
  CHECK(read_bytes(folder / "a") == "first");
}

TEST_CASE("atomic file: a symbolic link stays one") {
  const TempFolder folder;
  write_bytes(folder / "target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  mld::write_file_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_bytes(folder / "target") == "new");
}

TEST_CASE("atomic file: in a folder of ours a link is replaced") {
  const TempFolder folder;
  write_bytes(folder / "target", "old");
  for (const char* to : {"target", "nothing", "."}) {
    std::filesystem::remove(folder / "link");
    std::filesystem::create_symlink(to, folder / "link");
    AtomicFile file(folder / "link", mld::Links::replace);
    file.write("new");
    file.commit();
    CHECK(!std::filesystem::is_symlink(folder / "link"));
    CHECK(read_bytes(folder / "link") == "new");
  }
  CHECK(read_bytes(folder / "target") == "old");
  CHECK(folder.listing() == "link target ");
}

TEST_CASE("atomic file: permissions of the replaced file stay") {
  const TempFolder folder;
  for (const mode_t mode : {0600U, 0640U, 0444U, 0755U}) {
    write_bytes(folder / "a", "old");
    ::chmod((folder / "a").c_str(), mode);
    mld::write_file_atomically(folder / "a", "new");
    CHECK(mode_of(folder / "a") == mode);
  }
  // What a killed process left lends its own to nobody.
  write_bytes(folder / ".b.tmp", "left over");
  ::chmod((folder / ".b.tmp").c_str(), 0600);
  mld::write_file_atomically(folder / "b", "new");
  write_bytes(folder / "c", "as usual");
  CHECK(mode_of(folder / "b") == mode_of(folder / "c"));
}

TEST_CASE("atomic file: a temporary that is not ours is not used") {
  const TempFolder folder;
  const auto temporary = folder / ".a.tmp";
  const auto refused = [&](const std::string& what) {
    CHECK(!mld::is_own_temporary(temporary));
    mld::remove_own_temporaries(folder.path());
    const std::string message =
        error_of(ErrorKind::io, [&] { mld::write_file_atomically(folder / "a", "new"); });
    CHECK(contains(message, ".a.tmp is " + what + " that this program did not make"));
    std::filesystem::remove(temporary);
  };
  write_bytes(folder / "victim", "precious");
  std::filesystem::create_hard_link(folder / "victim", temporary);
  refused("a file of 2 names");
  std::filesystem::create_symlink("victim", temporary);
  refused("a symbolic link");
  ::mkfifo(temporary.c_str(), 0600);
  refused("a FIFO");
  std::filesystem::create_directory(temporary);
  refused("a folder");
  CHECK(read_bytes(folder / "victim") == "precious");
  CHECK(folder.listing() == "victim ");
}

TEST_CASE("atomic file: temporaries of killed processes are known and removed") {
  const TempFolder folder;
  for (const char* name : {".config.json.tmp", ".x.tmp", ".score.safetensors.tmp"}) {
    write_bytes(folder / name, "half");
    CHECK(mld::is_own_temporary(folder / name));
  }
  for (const char* name : {"a.tmp", ".tmp", ".lock", ".b.tmp~", "config.json"}) {
    write_bytes(folder / name, "");
    CHECK(!mld::is_own_temporary(folder / name));
  }
  {
    AtomicFile in_use(folder / "used");
    mld::remove_own_temporaries(folder.path());
    CHECK(folder.listing() == ".b.tmp~ .lock .tmp .used.tmp a.tmp config.json ");
    in_use.write("text");
    in_use.commit();
  }
  CHECK(read_bytes(folder / "used") == "text");
}

TEST_CASE("atomic file: destinations that cannot be") {
  const TempFolder folder;
  CHECK(
      contains(error_of(ErrorKind::io, [&] { AtomicFile file(folder / "none/a"); }), "none/a: cannot write"));
  CHECK(contains(error_of(ErrorKind::io, [&] { AtomicFile file(folder.path()); }), "not a regular file"));
  error_of(ErrorKind::io, [&] { AtomicFile file("/dev/full"); });
  error_of(ErrorKind::io, [&] { AtomicFile file(folder / std::string(300, 'x')); });
}

TEST_CASE("atomic file: full disk") {
  const TempFolder folder;
  write_bytes(folder / "a", "old");
  {
    const FullDisk full(1000);
    const std::string message =
        error_of(ErrorKind::io, [&] { mld::write_file_atomically(folder / "a", std::string(2000, 'x')); });
    CHECK(contains(message, "cannot write"));
    CHECK(contains(message, "free space"));
  }
  CHECK(read_bytes(folder / "a") == "old");
  CHECK(folder.listing() == "a ");
}

TEST_CASE("jsonl: a line of texts and numbers") {
  CHECK(mld::JsonLine().text("stage", "a\"b").integer("step", -3).number("loss", 0.1).str() ==
        R"({"stage":"a\"b","step":-3,"loss":0.10000000000000001})");
  CHECK(mld::JsonLine().str() == "{}");
  CHECK(mld::json_number(1.0 / 3) == "0.33333333333333331");
  CHECK(mld::json_number(250) == "250");
  CHECK(mld::json_number(1e-7) == "9.9999999999999995e-08");
  CHECK(mld::json_number(std::nan("")) == "null");
  CHECK(mld::json_number(-HUGE_VAL) == "null");
}

TEST_CASE("jsonl: lines are appended, a torn last line is removed") {
  const TempFolder folder;
  {
    JsonlWriter writer(folder / "m");
    writer.append(R"({"step":1})");
    writer.append(R"({"step":2})");
    writer.flush();
    error_of(ErrorKind::internal, [&] { writer.append("a\nb"); });
  }
  CHECK(read_bytes(folder / "m") == "{\"step\":1}\n{\"step\":2}\n");
  // Longer than the block that the end of the last line is looked for with.
  write_bytes(folder / "m", "{\"step\":1}\n{\"note\":\"" + std::string(10'000, 'x'));
  JsonlWriter(folder / "m").append(R"({"step":3})");
  CHECK(read_bytes(folder / "m") == "{\"step\":1}\n{\"step\":3}\n");
  write_bytes(folder / "m", "{\"st");
  JsonlWriter(folder / "m").append("{}");
  CHECK(read_bytes(folder / "m") == "{}\n");
  error_of(ErrorKind::io, [&] { JsonlWriter writer(folder / "none/m"); });
}

TEST_CASE("jsonl: other names of the file keep what they have; what is no file is refused") {
  const TempFolder folder;
  write_bytes(folder / "run", "{\"step\":1}\n{\"torn");
  std::filesystem::create_hard_link(folder / "run", folder / "copy");
  JsonlWriter(folder / "copy").append("{}");
  CHECK(read_bytes(folder / "copy") == "{\"step\":1}\n{}\n");
  CHECK(read_bytes(folder / "run") == "{\"step\":1}\n{\"torn");
  ::mkfifo((folder / "fifo").c_str(), 0600);
  std::filesystem::create_directory(folder / "folder");
  for (const char* name : {"fifo", "folder"}) {
    error_of(ErrorKind::io, [&] { JsonlWriter writer(folder / name); });
    error_of(ErrorKind::io, [&] { mld::truncate_jsonl_to_step(folder / name, 0); });
  }
}

TEST_CASE("jsonl: on a full disk the lines so far stay whole") {
  const TempFolder folder;
  JsonlWriter writer(folder / "m");
  writer.append(std::string(60, 'a'));
  {
    const FullDisk full(100);
    CHECK(contains(error_of(ErrorKind::io, [&] { writer.append(std::string(60, 'b')); }), "cannot append"));
  }
  CHECK(read_bytes(folder / "m") == std::string(60, 'a') + "\n");
  writer.append("c");
  CHECK(read_bytes(folder / "m") == std::string(60, 'a') + "\nc\n");
}

TEST_CASE("jsonl: a resumed run's file equals the uninterrupted run's") {
  const TempFolder folder;
  const auto train = [&](std::string_view file, std::string_view stage, int first, int last) {
    JsonlWriter writer(folder / file);
    for (int step = first; step <= last; ++step)
      writer.append(mld::cat(R"({"stage":")", stage, R"(","step":)", step, R"(,"loss":)", 1.0 / step, "}"));
  };
  train("whole", "autoencoder", 1, 5);
  train("whole", "score", 1, 9);

  // Killed at step 7 of the second stage, the last checkpoint at 4.
  train("killed", "autoencoder", 1, 5);
  train("killed", "score", 1, 7);
  write_bytes(folder / "killed", read_bytes(folder / "killed") + "{\"stage\":\"sco");
  mld::truncate_jsonl_to_step(folder / "killed", 4, "score");
  train("killed", "score", 5, 9);
  CHECK(read_bytes(folder / "killed") == read_bytes(folder / "whole"));

  // Back to a checkpoint of the first stage: what follows it goes, too.
  mld::truncate_jsonl_to_step(folder / "killed", 3, "autoencoder");
  train("killed", "autoencoder", 4, 5);
  train("killed", "score", 1, 9);
  CHECK(read_bytes(folder / "killed") == read_bytes(folder / "whole"));

  mld::truncate_jsonl_to_step(folder / "killed", 100);
  CHECK(read_bytes(folder / "killed") == read_bytes(folder / "whole"));
  mld::truncate_jsonl_to_step(folder / "killed", 0);
  CHECK(read_bytes(folder / "killed").empty());
  mld::truncate_jsonl_to_step(folder / "none", 0);
  CHECK(!std::filesystem::exists(folder / "none"));
}

TEST_CASE("jsonl: lines without a step are kept") {
  const TempFolder folder;
  const std::string text =
      "not json\n{\"step\":\"9\"}\n[]\n\n{\"event\":\"start\"}\n{\"step\":2,\"stage\":7}\n";
  write_bytes(folder / "m", text + "{\"step\":3}\n{\"event\":\"end\"}\n");
  mld::truncate_jsonl_to_step(folder / "m", 2);
  CHECK(read_bytes(folder / "m") == text);
}

TEST_CASE("lock: the second owner is refused and told who the first is") {
  const TempFolder folder;
  std::optional<LockFile> lock(folder.path());
  const std::string mine = "in use by process " + std::to_string(::getpid()) + ";";
  CHECK(contains(error_of(ErrorKind::busy, [&] { LockFile second(folder.path()); }), mine));
  const int status = in_child([&] {
    try {
      LockFile second(folder.path());
    } catch (const mld::Error& error) {
      return error.kind() == ErrorKind::busy && contains(error.what(), mine) ? 8 : 1;
    }
    return 2;
  });
  CHECK(WEXITSTATUS(status) == 8);
  LockFile moved(std::move(*lock));
  lock.reset();
  error_of(ErrorKind::busy, [&] { LockFile second(folder.path()); });
  lock = std::move(moved);
  lock.reset();
  const LockFile again(folder.path());
}

TEST_CASE("lock: ends with a killed owner") {
  const TempFolder folder;
  const int status = in_child([&] {
    const LockFile lock(folder.path());
    return ::raise(SIGKILL);
  });
  CHECK(WIFSIGNALED(status));
  const LockFile lock(folder.path());
}

TEST_CASE("lock: what stands in its place is not written to") {
  const TempFolder folder;
  write_bytes(folder / "victim", "precious");
  std::filesystem::create_hard_link(folder / "victim", folder / ".lock");
  CHECK(contains(error_of(ErrorKind::io, [&] { LockFile lock(folder.path()); }), "a file of 2 names"));
  std::filesystem::remove(folder / ".lock");
  std::filesystem::create_symlink("victim", folder / ".lock");
  error_of(ErrorKind::io, [&] { LockFile lock(folder.path()); });
  std::filesystem::remove(folder / ".lock");
  ::mkfifo((folder / ".lock").c_str(), 0600);
  CHECK(contains(error_of(ErrorKind::io, [&] { LockFile lock(folder.path()); }), "a FIFO"));
  CHECK(read_bytes(folder / "victim") == "precious");
}

TEST_CASE("lock: folders that cannot be locked") {
  const TempFolder folder;
  CHECK(contains(error_of(ErrorKind::io, [&] { LockFile lock(folder / "none"); }), "cannot create the lock"));
}
