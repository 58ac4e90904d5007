// Words of English text by the conventions of the Penn Treebank (M. Marcus, B. Santorini, M. Marcinkiewicz, 1993), by the
// rules of NLTK's NLTKWordTokenizer, which is what word_tokenize does within a sentence: punctuation stands alone but for
// dots within, double quotes become `` and '', clitics and contractions are cut ("don't" is do n't, "cannot" can not).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mld::data {

// `sentence`: UTF-8, one sentence or caption; nothing but the dot at its very end is taken for a full stop. Blanks,
// digits and ends of words are ASCII's, other characters than quotes and dashes count as letters. Case is kept.
std::vector<std::string> treebank_words(std::string_view sentence);

}  // namespace mld::data
