#include <map>

#include "data/birds/birds.h"
#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "data/store/store_info.h"
#include "tools/commands.h"
#include "tools/option_checks.h"
#include "tools/terminal.h"

namespace mld::tools {
namespace {

void add_out(CLI::App& app, std::string& out) {
  app.add_option("--out", out, "Store to write: a new or empty folder")->type_name("STORE")->required();
}

void add_mnist(CLI::App& app, std::string& mnist) {
  app.add_option("--mnist", mnist, "Folder with the four IDX files, plain or .gz")
      ->type_name("FOLDER")
      ->required();
}

void add_on_bad(CLI::App& app, data::OnBad& on_bad) {
  const std::map<std::string, data::OnBad> choices{
      {"fail", data::OnBad::fail}, {"skip", data::OnBad::skip}, {"missing", data::OnBad::missing}};
  app.add_option_function<std::string>(
         "--on-bad", [&on_bad, choices](const std::string& what) { on_bad = choices.at(what); },
         "A picture that cannot be used: fail, skip its samples, or have them lack the modality (missing)")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"fail", "skip", "missing"}))
      ->default_str("fail");
}

void done(const std::string& store, const std::vector<std::string>& notes = {}) {
  for (const std::string& text : notes) note(text);
  note("wrote " + store);
}

// import(progress) -> notes
template <class F>
void show_import(const std::string& store, F&& import) {
  Progress progress;
  const std::vector<std::string> notes =
      import([&progress](const std::string& what, std::int64_t done, std::int64_t total) {
        progress.show(what, done, total);
      });
  progress.finish();
  done(store, notes);
}

void add_make_digits(CLI::App& make) {
  struct Options {
    data::DigitsConfig digits;
    std::string out;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c =
      make.add_subcommand("digits", "The embedded data set: image, spoken sound and pen path of a digit");
  add_out(*c, o->out);
  c->add_option("--train", o->digits.train, "Training items")->type_name("N")->capture_default_str();
  c->add_option("--test", o->digits.test, "Test items")->type_name("N")->capture_default_str();
  add_seed(*c, o->digits.seed, "Seed")->capture_default_str();
  c->callback([o] {
    data::write_digits(o->digits, o->out);
    done(o->out);
  });
}

void add_make_birds(CLI::App& make) {
  struct Options {
    data::BirdsConfig birds;
    std::string out;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c =
      make.add_subcommand("birds", "The embedded data set with words: drawn birds and ten captions each");
  add_out(*c, o->out);
  c->add_option("--train", o->birds.train, "Training pictures")->type_name("N")->capture_default_str();
  c->add_option("--test", o->birds.test, "Test pictures")->type_name("N")->capture_default_str();
  add_seed(*c, o->birds.seed, "Seed")->capture_default_str();
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      return data::write_birds(o->birds, o->out, progress);
    });
  });
}

void add_make_polymnist(CLI::App& make) {
  struct Options {
    std::string mnist, backgrounds, out;
    data::PolyMnistMake how;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c =
      make.add_subcommand("polymnist", "MNIST digits in several styles: before a picture for each modality");
  add_mnist(*c, o->mnist);
  c->add_option(
       "--backgrounds", o->backgrounds,
       "Folder of pictures, one for each modality in order of their names; a texture where one is missing")
      ->type_name("FOLDER")
      ->required();
  c->add_option("--modalities", o->how.modalities, "Modalities")->type_name("N")->capture_default_str();
  add_out(*c, o->out);
  add_seed(*c, o->how.seed, "Seed of orders and pieces")->capture_default_str();
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      o->how.progress = progress;
      return data::make_polymnist(o->mnist, o->backgrounds, o->out, o->how);
    });
  });
}

void add_import_polymnist(CLI::App& import) {
  struct Options {
    std::string folder, out;
    data::OnBad on_bad = data::OnBad::fail;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = import.add_subcommand("polymnist", "PolyMNIST's folders train and test of m0, m1, ...");
  c->add_option("FOLDER", o->folder, "Folder with train/m0/INDEX.DIGIT.png and so on")
      ->type_name("")
      ->required();
  add_on_bad(*c, o->on_bad);
  add_out(*c, o->out);
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      return data::import_polymnist(o->folder, o->out, {.on_bad = o->on_bad, .progress = progress});
    });
  });
}

void add_import_cub(CLI::App& import) {
  struct Options {
    std::string folder, out;
    data::CubImport how;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = import.add_subcommand("cub", "CUB-200-2011: pictures of birds with ten captions each");
  c->add_option(
       "FOLDER", o->folder,
       "Folder with train/CLASS/*.jpg, test/CLASS/*.jpg, text_trainvalclasses.txt, text_testclasses.txt")
      ->type_name("")
      ->required();
  c->add_option("--side", o->how.side, "Height and width the pictures are resized to")
      ->type_name("PIXELS")
      ->capture_default_str();
  add_on_bad(*c, o->how.folder.on_bad);
  add_out(*c, o->out);
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      o->how.folder.progress = progress;
      return data::import_cub(o->folder, o->out, o->how);
    });
  });
}

void add_import_captions(CLI::App& import) {
  struct Options {
    std::string file, out;
    data::CaptionsImport how;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = import.add_subcommand("captions", "A text file with a caption a line, as the only modality");
  c->add_option("FILE", o->file, "Text in UTF-8, plain or .gz")->type_name("")->required();
  c->add_option("--length", o->how.length, "Tokens of a caption: words and the mark of the end")
      ->type_name("N")
      ->check(between(2, 4096))
      ->capture_default_str();
  c->add_option("--together", o->how.together, "Successive lines that stay on one side of the split")
      ->type_name("N")
      ->check(between(1, 1 << 20))
      ->capture_default_str();
  c->add_option("--test-fraction", o->how.test_fraction, "Part of the captions to hold out; below 1")
      ->type_name("X")
      ->capture_default_str();
  add_seed(*c, o->how.seed, "Seed of that split")->capture_default_str();
  add_out(*c, o->out);
  c->callback([o] { done(o->out, data::import_captions(o->file, o->out, o->how)); });
}

void add_import_mnist_svhn(CLI::App& import) {
  struct Options {
    std::string mnist, svhn, out, photos;
    data::MnistSvhnImport how;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c =
      import.add_subcommand("mnist-svhn", "MNIST digits paired with street-view digits of the same class");
  add_mnist(*c, o->mnist);
  c->add_option("--svhn", o->svhn, "Folder with train_32x32.mat and test_32x32.mat")
      ->type_name("FOLDER")
      ->required();
  add_out(*c, o->out);
  add_seed(*c, o->how.seed, "Seed of the pairing")->capture_default_str();
  c->add_option("--repetitions", o->how.repetitions, "Pairings of the same items")
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* valid =
      c->add_option(
           "--valid", o->how.valid,
           "Take the last N crops, and digits for them, out of train into a split valid of their own")
          ->type_name("N")
          ->check(between(1, INT32_MAX));
  c->add_option("--photos", o->photos,
                "Photograph number of each crop of the training file, or of both (.npy, .npy.gz): no "
                "photograph is then in both train and valid")
      ->type_name("FILE")
      ->needs(valid);
  c->callback([o] {
    o->how.photos = o->photos;
    done(o->out, data::import_mnist_svhn(o->mnist, o->svhn, o->out, o->how));
  });
}

void add_import_mhd_free(CLI::App& import) {
  struct Options {
    std::string mnist, strokes, speech, out;
    data::MhdFreeImport how;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = import.add_subcommand(
      "mhd-free", "MNIST digits with the strokes they may have been written with, and spoken digits");
  add_mnist(*c, o->mnist);
  c->add_option("--strokes", o->strokes, "mnist_strokes.npz")->type_name("FILE")->required();
  c->add_option("--speech", o->speech, "Folder of recordings named DIGIT_SPEAKER_INDEX.wav")
      ->type_name("FOLDER")
      ->required();
  add_out(*c, o->out);
  add_seed(*c, o->how.seed, "Seed of the pairing")->capture_default_str();
  c->add_option("--repetitions", o->how.repetitions, "Sounds that each training digit is paired with")
      ->type_name("N")
      ->capture_default_str();
  c->add_option("--test-speaker", o->how.test_speakers,
                "Test on this speaker's recordings and train on none of them; may be repeated. Default: the "
                "recordings 0 to 4 of every speaker and digit")
      ->type_name("NAME");
  c->add_option("--valid", o->how.valid,
                "Take the last N training digits, and the recordings 5 to 9, into a split valid of their own")
      ->type_name("N")
      ->check(between(1, INT32_MAX));
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      o->how.progress = progress;
      return data::import_mhd_free(o->mnist, o->strokes, o->speech, o->out, o->how);
    });
  });
}

void add_import_npy(CLI::App& import) {
  struct Options {
    std::string folder, spec, out;
    double test_fraction = 0;
    std::uint64_t seed = 0;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c =
      import.add_subcommand("npy", "Your own arrays: FOLDER/train/NAME.npy, and so in test and valid");
  c->add_option("FOLDER", o->folder, "Folder with one .npy per modality and split")
      ->type_name("")
      ->required();
  c->add_option("--spec", o->spec,
                "JSON description of the modalities; default: FOLDER/modalities.json, or inferred")
      ->type_name("FILE");
  c->add_option("--test-fraction", o->test_fraction,
                "Part of the training samples to hold out where there is no FOLDER/test; below 1")
      ->type_name("X")
      ->capture_default_str();
  add_seed(*c, o->seed, "Seed of that split")->capture_default_str();
  add_out(*c, o->out);
  c->callback([o] {
    show_import(o->out, [&](const data::ImportProgress& progress) {
      return data::import_npy(
          o->folder, o->out,
          {.spec = o->spec, .test_fraction = o->test_fraction, .seed = o->seed, .progress = progress});
    });
  });
}

void add_info(CLI::App& data_app) {
  struct Options {
    std::string store;
    bool json = false, validate = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* c = data_app.add_subcommand("info", "What a store holds: items, samples, holes, classes");
  c->add_option("STORE", o->store, "Folder made by data make or data import")->type_name("")->required();
  c->add_flag("--json", o->json, "Print JSON");
  c->add_flag("--validate", o->validate, "Read everything and compare it with its checksums");
  c->callback([o] {
    const data::Store store = data::Store::open(o->store);
    note(store.unchecked_note());
    if (o->validate) store.validate();
    const data::StoreInfo info = data::inspect(store);
    std::fputs((o->json ? data::to_json(info) : data::to_text(info)).c_str(), stdout);
  });
}

}  // namespace

void add_data_commands(CLI::App& app) {
  CLI::App* data_app =
      app.add_subcommand("data", "Make, import and inspect data sets")->require_subcommand(1);
  CLI::App* make = data_app->add_subcommand("make", "Data sets that are made")->require_subcommand(1);
  add_make_digits(*make);
  add_make_birds(*make);
  add_make_polymnist(*make);
  CLI::App* import = data_app->add_subcommand("import", "Turn files into a store")->require_subcommand(1);
  add_import_mnist_svhn(*import);
  add_import_mhd_free(*import);
  add_import_polymnist(*import);
  add_import_cub(*import);
  add_import_captions(*import);
  add_import_npy(*import);
  add_info(*data_app);
}

}  // namespace mld::tools
