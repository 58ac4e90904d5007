// What is given and made again, in the tables of `compare`: by an autoencoder, and by a VAE.
#include "tests/mld/study/compare_fixture.h"

namespace mld::test {

TEST_CASE("an autoencoder makes of its modality the same whatever else is given, a VAE does not") {
  const auto again = [](const std::string& given, const std::string& target, double value) {
    return mld::cat(R"(,{"given":")", given, R"(","target":")", target, R"(","value":)", value, "}");
  };
  Fixture vae{
      .kind = "mopoe", .preset = "mnist-svhn", .dataset = "mnist-svhn", .left = "mnist", .right = "svhn"};
  vae.again =
      again("svhn", "svhn", 0.4) + again("mnist,svhn", "mnist", 0.8) + again("mnist,svhn", "svhn", 0.6);
  vae.quality = quality("mnist", "mnist", "FMD", 3) + "," + quality("mnist,svhn", "mnist", "FMD", 4);
  Fixture ours = vae;
  ours.kind = "mld";
  ours.hash = "00000000000000bb";
  ours.again = again("svhn", "svhn", 0.7);
  ours.quality = quality("mnist", "mnist", "FMD", 1);
  Runs runs;
  runs.add("a", vae);
  runs.add("b", ours);
  const Table t = runs.tables()[1];
  REQUIRE(heads(t) == std::vector<std::string>{"M->M", "M,S->M", "S->S", "M,S->S", "M->M FMD", "M,S->M FMD"});
  const auto means = [&](const std::string& name) {
    std::vector<double> all;
    for (const auto& cell : row(t, name).values) all.push_back(cell ? cell->mean : -1);
    return all;
  };
  CHECK(means("MOPOE") == std::vector<double>{90, 80, 40, 60, 3, 4});
  CHECK(means("MLD") == std::vector<double>{90, 90, 70, 70, 1, 1});

  // A schedule tells no VAE from latent diffusion; another N does.
  vae.samples = 50;
  runs.add("c", vae);
  runs.paths().erase(runs.paths().begin());
  CHECK(row(runs.tables({.force = true})[1], "MOPOE, N 50").values[0]->mean == 90);

  Runs duo;
  Fixture generic{.kind = "mopoe"};
  generic.again = again("left,right", "left", 0.8) + again("left,right", "right", 0.6);
  generic.quality = quality("left,right", "left", "FID", 4);
  duo.add("a", generic);
  // Where data have holes, an autoencoder has seen other samples than those that have everything.
  generic.quality.replace(generic.quality.find(R"("made":100)"), 10, R"("made":79)");
  duo.paths().clear();
  duo.add("b", generic);
  duo.add("c", Fixture{.hash = "00000000000000bb", .quality = quality("left", "left", "FID", 1)});
  const std::vector<Table> tables = duo.tables();
  REQUIRE(tables.size() == 2);
  CHECK(heads(tables[1]) == std::vector<std::string>{"left->left", "left,right->left", "left,right->right",
                                                     "left->left FID", "left,right->left FID"});
  CHECK_FALSE(row(tables[1], "MLD").values[4].has_value());
}

}  // namespace mld::test
