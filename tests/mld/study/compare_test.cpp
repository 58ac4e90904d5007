#include "mld/study/compare.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>
#include <string>

#include "engine/base/error.h"
#include "mld/study/tables/evaluation_file.h"
#include "mld/study/tables/layout.h"
#include "tests/expect_error.h"
#include "tests/mld/study/compare_fixture.h"

using namespace mld::tables;
using mld::compare;
using mld::ErrorKind;
using namespace mld::test;

TEST_CASE("runs that differ in their seed become one row with mean and deviation") {
  Runs runs;
  const std::array joint{0.2, 0.4, 0.9};
  for (int seed : {2, 0, 1})
    runs.add("r" + std::to_string(seed),
             Fixture{.seed = seed, .joint = joint[static_cast<std::size_t>(seed)]});
  const std::vector<Table> tables = runs.tables();
  REQUIRE(tables.size() == 2);
  const Table& t = tables[0];
  CHECK(t.title == "duo: coherence (%)");
  CHECK(heads(t) == std::vector<std::string>{"joint", "left->right", "right->left"});
  REQUIRE(t.rows.size() == 1);
  CHECK(t.rows[0].name == "MLD");
  const TableValue value = t.rows[0].values[0].value();
  CHECK(value.mean == doctest::Approx(50));
  // sum of squares 30^2 + 10^2 + 40^2 = 2600, over n - 1 = 2
  CHECK(value.deviation.value() == doctest::Approx(std::sqrt(1300.0)));
  CHECK(value.runs == 3);
  CHECK(t.rows[0].values[1]->deviation.value() == 0);
  CHECK(t.rows[0].made ==
        "N 100 of split 'test'; em 250, 250 network calls a sample, ema weights; mean +- standard deviation "
        "over "
        "seeds 0, 1, 2; classifiers left 11111111, right 22222222");
  CHECK(all_notes(t) == t.rows[0].made + "\n");
  CHECK(heads(tables[1]) == std::vector<std::string>{"left->left"});
}

TEST_CASE("an evaluation file is as good as its run, and one run has no deviation") {
  Runs runs;
  runs.add("r", Fixture{});
  runs.paths() = {runs.last() / "evaluation.json"};
  const std::vector<Table> tables = runs.tables();
  CHECK_FALSE(tables[0].rows[0].values[0]->deviation.has_value());
  CHECK(contains(tables[0].rows[0].made, "; seed 0; "));
}

TEST_CASE("rows are named by what differs between them") {
  Runs runs;
  runs.add("a", Fixture{});
  runs.add("b", Fixture{.kind = "uni", .hash = "bb"});
  runs.add("c", Fixture{.kind = "inpaint", .hash = "cc"});
  auto names = [&] {
    std::vector<std::string> out;
    const Table t = runs.tables()[0];
    for (const TableRow& r : t.rows) out.push_back(r.name);
    return out;
  };
  CHECK(names() == std::vector<std::string>{"MLD", "MLD-Uni", "MLD-Inpaint"});
  runs.add("e", Fixture{.hash = "ee", .d = 0.7});
  CHECK(names() ==
        std::vector<std::string>{"MLD, d 0.5", "MLD-Uni, d 0.5", "MLD-Inpaint, d 0.5", "MLD, d 0.7"});
  runs.add("f", Fixture{.hash = "ff", .d = 0.7});
  CHECK(names()[3] == "MLD, d 0.7, config ee");
  CHECK(names()[4] == "MLD, d 0.7, config ff");
}

TEST_CASE("rows are named by settings beyond the preset, as far as they differ") {
  Runs runs;
  const std::string both = R"("score.batch":"64")";
  runs.add("a", Fixture{.settings = both});
  runs.add("b", Fixture{.hash = "bb", .settings = both + R"(,"score.width":"128")"});
  runs.add("c", Fixture{.kind = "uni", .hash = "cc", .settings = both + R"(,"model.kind":"\"uni\"")"});
  std::vector<std::string> names;
  const Table t = runs.tables()[0];
  for (const TableRow& r : t.rows) names.push_back(r.name);
  CHECK(names == std::vector<std::string>{"MLD", "MLD, score.width 128", "MLD-Uni"});
}

TEST_CASE("what does not compare is refused, and marked when forced") {
  Runs runs;
  runs.add("a", Fixture{});
  runs.add("b", Fixture{.kind = "uni", .hash = "bb", .right_classifier = "99999999"});
  const std::string message = runs.error(ErrorKind::usage);
  CHECK(contains(message,
                 runs.paths()[0].string() + " and " + runs.paths()[1].string() +
                     " were measured differently: classifier of right 22222222 and 99999999; --force"));
  const Table t = runs.tables({.force = true})[0];
  const TableRow& other = row(t, "MLD-Uni");
  CHECK(other.values[0]->differs);        // joint: every classifier
  CHECK(other.values[1]->differs);        // left->right
  CHECK_FALSE(other.values[2]->differs);  // right->left
  for (const auto& value : row(t, "MLD").values) CHECK_FALSE(value->differs);
  CHECK(contains(all_notes(t), "! Measured otherwise than " + runs.paths()[0].string() + ": " +
                                   runs.paths()[1].string() +
                                   " (classifier of right 22222222 and 99999999)\n"));

  const auto refused = [](const Fixture& a, const Fixture& b) {
    Runs pair;
    pair.add("a", a);
    pair.add("b", b);
    return pair.error(ErrorKind::usage);
  };
  const Fixture uni{.kind = "uni", .hash = "bb"};
  Fixture other_way = uni;
  other_way.samples = 50;
  CHECK(contains(refused({}, other_way), "N 100 and 50"));
  other_way = uni;
  other_way.split = "train";
  CHECK(contains(refused({}, other_way), "split test and train"));
  other_way = uni;
  other_way.resample = 10;
  CHECK(contains(refused({}, other_way), "schedule em 250 and em 250x10x10"));
  other_way.renoise = R"(,"renoise":"exact")";
  Fixture euler = Fixture{};
  euler.resample = 10;
  CHECK(contains(refused(euler, other_way), "schedule em 250x10x10 and em 250x10x10 exact"));
  Fixture a = Fixture{}, b = uni;
  a.quality = quality("", "left", "FID", 3);
  b.quality = quality("", "left", "FID", 3, "44444444");
  CHECK(contains(refused(a, b), "features of left inception 33333333 and inception 44444444"));
  a.preset = b.preset = a.dataset = b.dataset = "cub";
  a.left = b.left = "image", a.right = b.right = "caption";
  a.quality = b.quality = "";
  a.clip_score = R"({"given":"image","value":0.5,"error":0.1,"n":100,"hash":"aaaa"})";
  b.clip_score = R"({"given":"image","value":0.5,"error":0.1,"n":17,"hash":"bbbb"})";
  CHECK(contains(refused(a, b), "CLIP aaaa and bbbb"));
  CHECK(contains(refused(a, b), "N 100 and 17"));
}

TEST_CASE("a seed counts once, and tables are of one data set") {
  Runs runs;
  runs.add("a", Fixture{});
  runs.add("b", Fixture{});
  CHECK(contains(runs.error(ErrorKind::usage, {.force = true}),
                 runs.paths()[0].string() + " and " + runs.paths()[1].string() +
                     " are both seed 0 of configuration 00000000000000aa; give one of them"));
  runs.paths().pop_back();
  runs.add("c", Fixture{.dataset = "trio"});
  CHECK(contains(runs.error(ErrorKind::usage, {.force = true}), "is of data set 'duo' (left, right), "));
}

TEST_CASE("numbers of no samples, which older files have as 0, are none") {
  const std::string nothing = R"("value":0,"low95":0,"high95":1,"hits":0,"n":0)";
  const auto replaced = [&](std::string json, const std::string& value) {
    const std::size_t at = json.find("\"value\":" + value);
    REQUIRE(at != std::string::npos);
    return json.replace(at, std::string("\"value\":").size() + value.size(), nothing);
  };
  const Fixture fixture{.joint = 0.125, .left_right = 0.25, .right_left = 0.75};
  for (const auto& [value, head] :
       {std::pair{"0.125", "joint"}, std::pair{"0.25", "left->right"}, std::pair{"0.75", "right->left"}}) {
    CAPTURE(head);
    Runs runs;
    runs.add("a", replaced(fixture.json(), value));
    const Table table = runs.tables().front();
    CHECK(table.columns.size() == 2);
    for (const TableColumn& column : table.columns) CHECK_FALSE(contains(column.head, head));
    Runs both;
    both.add("a", replaced(fixture.json(), value));
    both.add("b", Fixture{.seed = 1, .joint = 0.125, .left_right = 0.25, .right_left = 0.75});
    CHECK(contains(all_notes(both.tables().front()), "Not of all seeds: MLD"));
  }
  Runs runs;  // the means of a size that has such cells
  std::string json = replaced(fixture.json(), "0.25");
  json.insert(json.rfind('}'), R"(,"leave_one_out":[{"size":1,"value":0.375}])");
  runs.add("a", json);
  CHECK(read_evaluation(runs.last()).leave_one_out.empty());
}

TEST_CASE(
    "rows drawn by class and other data are told apart from the first rows and from the data trained on") {
  const auto with = [](const Fixture& fixture, const std::string& entries) {
    std::string json = fixture.json();
    return json.insert(json.rfind('}'), "," + entries);
  };
  const std::string drawn = R"("rows":"drawn","unlabelled":0)",
                    own = R"("fingerprint":"aa","trained_on":true)",
                    others = R"("fingerprint":"bb","trained_on":false)";
  {
    Runs runs;
    runs.add("a", with({}, drawn));
    runs.add("b", with({.seed = 1}, drawn));
    CHECK(runs.tables().front().rows.size() == 1);
    CHECK(contains(all_notes(runs.tables().front()), "N 100 of split 'test', drawn by class"));
    runs.add("c", Fixture{.seed = 2});
    CHECK(contains(runs.error(ErrorKind::usage), "rows drawn by class and the first"));
    CHECK(runs.tables({.force = true}).front().rows.size() == 2);
  }
  {
    Runs runs;  // a file that does not say of which data it is compares with any
    runs.add("a", with({}, own));
    runs.add("b", Fixture{.seed = 1});
    CHECK(runs.tables().front().rows.size() == 1);
    runs.add("c", with({.seed = 2}, R"("fingerprint":"cc","trained_on":true)"));
    CHECK(contains(runs.error(ErrorKind::usage), "data aa and cc"));
  }
  {
    Runs runs;
    runs.add("a", with({}, own));
    runs.add("b", with({}, others));  // the same run
    CHECK(contains(runs.error(ErrorKind::usage), "data aa and bb"));
    const Table table = runs.tables({.force = true}).front();
    REQUIRE(table.rows.size() == 2);
    CHECK(table.rows[1].name == "MLD, other data bb");
    CHECK(contains(all_notes(table), "of other data than trained on, bb"));
  }
}

TEST_CASE("a schedule is a row of its own when forced") {
  Runs runs;
  runs.add("a", Fixture{});
  runs.add("b", Fixture{.resample = 10, .joint = 0.6});
  const Table t = runs.tables({.force = true})[0];
  CHECK(row(t, "MLD, em 250").values[0]->mean == doctest::Approx(50));
  CHECK(row(t, "MLD, em 250x10x10").values[0]->differs);
  CHECK(contains(all_notes(t), "MLD, em 250x10x10: N 100 of split 'test'; em 250x10x10, "));
}

TEST_CASE("quality has its columns, by target, and its kernel distance a table of its own") {
  Runs runs;
  const std::string list = quality("right", "left", "FID", 4) + "," +
                           quality("", "left", "FID", 3, "33333333", R"(,"kid":0.01)") + "," +
                           quality("left", "left", "FID", 2) + "," + quality("", "right", "CFD", 1);
  runs.add("a", Fixture{.quality = list});
  const std::vector<Table> tables = runs.tables();
  REQUIRE(tables.size() == 4);
  CHECK(heads(tables[1]) == std::vector<std::string>{"joint left FID", "right->left FID", "joint right CFD"});
  CHECK(tables[1].rows[0].values[1]->mean == 4);
  CHECK_FALSE(tables[1].columns[0].higher_is_better);
  CHECK(contains(
      tables[1].rows[0].made,
      "; distances of 100 samples against 100 real (99 distinct) on features of inception 33333333"));
  CHECK(heads(tables[2]) == std::vector<std::string>{"left->left", "left->left FID"});
  CHECK(heads(tables[3]) == std::vector<std::string>{"joint left KID"});
  CHECK(tables[3].rows[0].values[0]->mean == 0.01);
}

TEST_CASE("a number that some seeds lack is told") {
  Runs runs;
  runs.add("a", Fixture{.seed = 0, .quality = quality("", "left", "FID", 4)});
  runs.add("b", Fixture{.seed = 1});
  const Table t = runs.tables()[1];
  CHECK(t.rows[0].values[0]->runs == 1);
  CHECK(contains(all_notes(t), "Not of all seeds: MLD, joint left FID: 1 of 2 seeds\n"));
}

TEST_CASE("the paper's tables of MNIST-SVHN") {
  Fixture ours{.preset = "mnist-svhn", .dataset = "mnist-svhn", .left = "mnist", .right = "svhn"};
  ours.quality = quality("", "mnist", "FMD", 5) + "," + quality("", "svhn", "CFD", 6) + "," +
                 quality("svhn", "svhn", "CFD", 7);
  Runs runs;
  runs.add("a", ours);
  std::vector<Table> tables = runs.tables();
  REQUIRE(tables.size() == 2);
  CHECK(heads(tables[0]) ==
        std::vector<std::string>{"Joint", "M->S", "S->M", "Joint(M) FMD", "Joint(S) CFD"});
  CHECK(heads(tables[1]) == std::vector<std::string>{"M->M", "M,S->M", "S->S CFD", "M,S->S CFD"});

  tables = runs.tables({.paper = true});
  const Table& t = tables[0];
  CHECK(heads(t) == std::vector<std::string>{"Joint", "M->S", "S->M", "Joint(M) FMD", "Joint(S) FID",
                                             "Joint(S) CFD", "M->S FID", "S->M FMD"});
  CHECK(t.rows.size() == 9);
  CHECK(t.rows.back().name == "MLD");
  const TableRow& mld = row(t, "MLD (paper)");
  CHECK(mld.published);
  CHECK(mld.values[4]->mean == 56.36);
  CHECK(mld.values[4]->deviation == 1.63);
  CHECK_FALSE(mld.values[5].has_value());  // our fallback is no FID
  CHECK_FALSE(t.rows.back().values[4].has_value());
  CHECK(row(t, "MLD-Inpaint (paper)").values[0]->mean == 85.53);
  CHECK(row(t, "MVAE (paper)").values[0]->deviation == 2.27);  // of the detailed table
  CHECK(contains(all_notes(t),
                 "Entropy 26, 320 (2024), Tables 11, 5; 5 seeds. Those numbers rest on other classifiers"));
  CHECK(contains(all_notes(t), "Table 1 prints the FID of MVAE"));
  CHECK(row(tables[1], "MVTCAE (paper)").values[1]->mean == 95.18);

  Runs generic;
  generic.add("a", Fixture{});
  CHECK(
      contains(generic.error(ErrorKind::usage, {.paper = true}), "the paper has no table of data set 'duo'"));
}

TEST_CASE("the paper's tables are all there") {
  const PublishedResults& results = published_results();
  std::set<std::int64_t> numbers;
  std::size_t values = 0;
  for (const PublishedDataSet& set : results.data_sets)
    for (const TableLayout& layout : set.tables) {
      for (const PublishedTable& table : layout.published) {
        numbers.insert(table.number);
        for (const PublishedRow& r : table.rows) {
          CHECK(r.mean.size() == layout.columns.size());
          values += r.mean.size();
        }
      }
      for (const std::int64_t number : layout.shown) CHECK(numbers.contains(number));
    }
  CHECK(numbers == std::set<std::int64_t>{1, 2, 3, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16});
  // rows times columns: 1, 5, 11; 10; 2, 6, 12; 3, 7, 13; 14, 15; 16
  CHECK(values == (6 + 3 + 6) * 7 + 6 * 8 + (6 + 3 + 6) * 10 + (6 + 3 + 6) * 12 + 2 * 8 * 5 + 8 * 5);
}

TEST_CASE("five modalities are averaged by the number given") {
  std::string cells, names, hashes;
  for (int target = 0; target < 5; ++target) {
    names += mld::cat(target ? "," : "", "\"m", target, "\"");
    for (int given = 0; given < 32; ++given) {
      if (given >> target & 1) continue;
      std::string list;
      for (int i = 0; i < 5; ++i)
        if (given >> i & 1) list += mld::cat(list.empty() ? "" : ",", "m", i);
      cells += (cells.empty() ? "" : ",") + quality(list, mld::cat("m", target), "FID", 100 * target + given);
    }
  }
  const std::string json = mld::cat(
      R"({"run":{"kind":"mld","preset":"polymnist","dataset":"mine","seed":0,"d":0.5,"config_hash":"aa"},"split":"test",)",
      R"("samples":9,"modalities":[)", names, R"(],"leave_one_out":[{"size":4,"value":0.5}],"quality":[)",
      cells, "]}");
  Runs runs;
  runs.add("a", json);
  const std::vector<Table> tables = runs.tables();
  REQUIRE(tables.size() == 2);
  CHECK(heads(tables[0]) == std::vector<std::string>{"4 given"});
  CHECK(tables[0].rows[0].values[0]->mean == 50);
  CHECK(heads(tables[1]) ==
        std::vector<std::string>{"Joint FID", "1 given FID", "2 given FID", "3 given FID", "4 given FID"});
  CHECK(tables[1].rows[0].values[0]->mean == doctest::Approx(200));
  // Every other modality is given in k of 4 cases: k/4 of 31 - 2^target, whose mean over the targets is 24.8.
  for (int k = 1; k <= 4; ++k)
    CHECK(tables[1].rows[0].values[static_cast<std::size_t>(k)]->mean == doctest::Approx(200 + 24.8 * k / 4));
}

TEST_CASE("a broken evaluation is one error that names file and key") {
  const auto error = [](const std::string& json) {
    Runs runs;
    runs.add("a", json);
    const std::string message = runs.error(ErrorKind::data);
    const std::string file = (runs.last() / "evaluation.json").string();
    CHECK(message.starts_with(file + ": "));
    CHECK(message.find('\n') == std::string::npos);
    return message.substr(std::min(message.size(), file.size() + 2));
  };
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string json = Fixture{}.json();
    const std::size_t at = json.find(from);
    REQUIRE(at != std::string::npos);
    return json.replace(at, from.size(), to);
  };
  CHECK(contains(error("{"), "not valid JSON"));
  CHECK(contains(error("[]"), "expected an object"));
  CHECK(error("{}") == "run: missing");
  CHECK(error(changed(R"("seed":0)", R"("seed":-1)")) ==
        "run.seed: found -1, expected a non-negative integer");
  CHECK(error(changed(R"("config_hash":)", R"("hash":)")) == "run.config_hash: missing");
  CHECK(error(changed(R"("value":0.5)", R"("value":null)")) ==
        "joint.coherence.value: found null, expected a number");
  CHECK(error(changed(R"("target":"right")", R"("target":"wrong")")) ==
        "conditional[0].target: 'wrong' is no modality of this file; it has left, right");
  CHECK(error(changed(R"({"given":"right")", R"({"given":"left,")")) ==
        "conditional[1].given: '' is no modality of this file; it has left, right");
  CHECK(contains(error(changed(R"("method":"em")", R"("method":"magic")")),
                 "schedule.method: found \"magic\""));
  CHECK(contains(error(changed(R"("left","right"])", "1]")), "modalities: found "));
  CHECK(contains(error(changed(R"(["left","right"])", "[]")), "modalities: found 0, expected 1 to 16"));
  CHECK(contains(error(changed(R"("quality":[])", R"("quality":[{}])")), "quality[0].given: missing"));

  Runs runs;
  runs.add("a", Fixture{});
  runs.paths().push_back(runs.last() / "nowhere");
  CHECK(contains(runs.error(ErrorKind::data), "nowhere: no such run or file"));
  std::filesystem::create_directory(runs.last());
  CHECK(contains(runs.error(ErrorKind::data), "nowhere: is not evaluated; run `mldctl eval` on it first"));
  runs.paths().clear();
  runs.add(
      "nothing",
      R"({"run":{"kind":"mld","preset":"","dataset":"x","seed":0,"d":0.5,"config_hash":"aa"},"split":"test",)"
      R"("samples":9,"modalities":["left"]})");
  CHECK(contains(runs.error(ErrorKind::data), ": holds nothing to compare"));
}

namespace {

// Three rows of our own below one of the paper's; the last one's number was measured otherwise.
Table small_table() {
  return {.title = "T_1: a->b (%)",
          .columns = {{"M->S", true}, {"I|T FMD", false}},
          .rows = {{"A (paper)", true, {TableValue{80, 0.5, 5}, std::nullopt}, "Table 7; 5 seeds"},
                   {"B", false, {TableValue{70.004, 1.25, 3}, TableValue{0.05, {}, 1}}, "N 9, \"x\""},
                   {"C", false, {TableValue{69.996, {}, 1}, TableValue{2, {}, 1}}, "N 9"},
                   {"D & d", false, {TableValue{60, {}, 1}, TableValue{1, {}, 1}}, "N 9"},
                   {"E", false, {TableValue{99, 0.0, 2, true}, TableValue{3, {}, 1}}, "N 9"}},
          .notes = {{"other 100 %", true}, {"+- over seeds", false}}};
}

std::string written(TableFormat format) { return write_tables(std::vector<Table>{small_table()}, format); }

}  // namespace

TEST_CASE("a table for a terminal") {
  CHECK(written(TableFormat::table) ==
        "T_1: a->b (%)\n"
        "\n"
        "                   M->S  I|T FMD\n"
        "--------------------------------\n"
        "A (paper)   80.00+-0.50        -\n"
        "--------------------------------\n"
        "B           70.00+-1.25    0.050\n"
        "C                 70.00    2.000\n"
        "D & d             60.00    1.000\n"
        "E          99.00+-0.00!    3.000\n"
        "--------------------------------\n"
        "! other 100 %\n"
        "+- over seeds\n");
}

TEST_CASE("a table wider than a terminal goes on below") {
  Table t{"t", {}, {{"name", false, {}, ""}}, {}};
  for (int i = 0; i < 12; ++i) {
    t.columns.push_back({"a long head", true});
    t.rows[0].values.push_back(TableValue{1.0 * i, {}, 1});
  }
  const std::string text = write_tables(std::vector<Table>{t}, TableFormat::table);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    CHECK(end - begin <= 110);
    begin = end + 1;
  }
  CHECK(contains(text, "name" + std::string(9, ' ') + "8.00"));
}

TEST_CASE(
    "a table in Markdown: best and second best of ours, apart from the paper's and from what is marked") {
  CHECK(written(TableFormat::markdown) ==
        "**T\\_1: a→b (%)**\n"
        "\n"
        "| Model | M→S ↑ | I\\|T FMD ↓ |\n"
        "|---|---:|---:|\n"
        "| A (paper) | 80.00±0.50 | – |\n"
        "| B | **70.00±1.25** | **0.050** |\n"
        "| C | **70.00** | 2.000 |\n"
        "| D & d | _60.00_ | _1.000_ |\n"
        "| E | 99.00±0.00 † | 3.000 |\n"
        "\n"
        "- † other 100 %\n"
        "- ± over seeds\n");
}

TEST_CASE("a table in LaTeX") {
  CHECK(written(TableFormat::latex) ==
        "\\begin{table}\n"
        "\\centering\n"
        "\\caption{T\\_1: a$\\to$b (\\%)}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "Model & M$\\to$S $\\uparrow$ & I$\\mid$T FMD $\\downarrow$ \\\\\n"
        "\\midrule\n"
        "A (paper) & 80.00$\\pm$0.50 & -- \\\\\n"
        "\\midrule\n"
        "B & \\textbf{70.00$\\pm$1.25} & \\textbf{0.050} \\\\\n"
        "C & \\textbf{70.00} & 2.000 \\\\\n"
        "D \\& d & \\textit{60.00} & \\textit{1.000} \\\\\n"
        "E & 99.00$\\pm$0.00$^\\dagger$ & 3.000 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par\\footnotesize $^\\dagger$ other 100 \\%\n"
        "\\par\\footnotesize $\\pm$ over seeds\n"
        "\\end{table}\n");
}

TEST_CASE("a table as CSV: a line a number, with all its digits") {
  CHECK(written(TableFormat::csv) ==
        "table,row,origin,column,better,mean,std,runs,differs,made\n"
        "T_1: a->b (%),A (paper),paper,M->S,higher,80,0.5,5,no,Table 7; 5 seeds\n"
        "T_1: a->b (%),B,run,M->S,higher,70.004,1.25,3,no,\"N 9, \"\"x\"\"\"\n"
        "T_1: a->b (%),B,run,I|T FMD,lower,0.05,,1,no,\"N 9, \"\"x\"\"\"\n"
        "T_1: a->b (%),C,run,M->S,higher,69.996,,1,no,N 9\n"
        "T_1: a->b (%),C,run,I|T FMD,lower,2,,1,no,N 9\n"
        "T_1: a->b (%),D & d,run,M->S,higher,60,,1,no,N 9\n"
        "T_1: a->b (%),D & d,run,I|T FMD,lower,1,,1,no,N 9\n"
        "T_1: a->b (%),E,run,M->S,higher,99,0,2,yes,N 9\n"
        "T_1: a->b (%),E,run,I|T FMD,lower,3,,1,no,N 9\n");
}

TEST_CASE("formats by name") {
  CHECK(parse_table_format("latex") == TableFormat::latex);
  CHECK(error_of(ErrorKind::usage, [] { parse_table_format("html"); }) ==
        "format: 'html' is none of table, markdown, latex, csv");
}
