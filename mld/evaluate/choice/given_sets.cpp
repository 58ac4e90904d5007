#include "mld/evaluate/choice/given_sets.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"

namespace mld {
namespace {

// Parts of a text between separators, empty ones too.
std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> out{""};
  for (const char c : text)
    if (c == separator)
      out.emplace_back();
    else
      out.back() += c;
  return out;
}

std::string possibilities(std::span<const std::string> modalities) {
  const std::size_t most = modalities.size() - 1;
  return cat("sizes ", most > 1 ? cat("1 to ", most) : std::string("1"),
             ", loo (all but one), all, or names of ", join(modalities), " joined by '+'");
}

// The set of the modalities that an entry names, 0 if one of them is none. ErrorKind::usage for one that
// comes twice.
Subset named(const std::string& entry, std::span<const std::string> modalities) {
  Subset set = 0;
  for (const std::string& name : parts(entry, '+')) {
    const auto found = std::ranges::find(modalities, name);
    if (found == modalities.end()) return 0;
    const auto one = Subset{1} << (found - modalities.begin());
    MLD_CHECK_AS(ErrorKind::usage, (set & one) == 0, "given sets: ", quote(entry), " names '", name,
                 "' twice; name each modality once");
    set |= one;
  }
  return set;
}

}  // namespace

std::vector<Subset> proper_subsets(int modalities) {
  std::vector<Subset> sets = all_subsets(modalities);
  sets.pop_back();  // the full one is last
  return sets;
}

std::vector<Subset> default_given_sets(int modalities) {
  std::vector<Subset> sets = proper_subsets(modalities);
  if (modalities > kAllSetsUpTo)
    std::erase_if(sets,
                  [&](Subset s) { return std::popcount(s) != 1 && std::popcount(s) != modalities - 1; });
  return sets;
}

std::vector<Subset> parse_given_sets(const std::string& text, std::span<const std::string> modalities) {
  const int count = static_cast<int>(modalities.size());
  if (text.empty()) return default_given_sets(count);
  MLD_CHECK_AS(ErrorKind::usage, count > 1, "given sets: ", quote(text),
               ": a model of one modality generates jointly only");
  std::set<Subset> named_sets;
  std::set<int> sizes;
  for (const std::string& entry : parts(text, ',')) {
    const Subset set = named(entry, modalities);
    const bool number = !entry.empty() && entry.size() <= 2 &&
                        std::ranges::all_of(entry, [](char c) { return c >= '0' && c <= '9'; });
    const int size = number ? std::stoi(entry) : 0;
    if (entry == "all")
      for (int k = 1; k < count; ++k) sizes.insert(k);
    else if (entry == "loo")
      sizes.insert(count - 1);
    else if (size >= 1 && size < count)
      sizes.insert(size);
    else {
      MLD_CHECK_AS(ErrorKind::usage, set != full_set(count), "given sets: ", quote(entry),
                   " is every modality, nothing is left to generate");
      MLD_CHECK_AS(ErrorKind::usage, set != 0, "given sets: ", quote(entry), " is none of ",
                   possibilities(modalities));
      named_sets.insert(set);
    }
  }
  std::vector<Subset> sets = proper_subsets(count);
  std::erase_if(sets, [&](Subset s) { return !sizes.contains(std::popcount(s)) && !named_sets.contains(s); });
  return sets;
}

std::vector<std::string> given_set_names(std::span<const Subset> sets,
                                         std::span<const std::string> modalities) {
  std::vector<std::string> names;
  if (std::ranges::equal(sets, proper_subsets(static_cast<int>(modalities.size())))) return names;
  for (const Subset set : sets) names.push_back(subset_name(set, modalities));
  return names;
}

}  // namespace mld
