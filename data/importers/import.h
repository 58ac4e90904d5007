// Importers: outside data sets turned into stores (data/store/store.h). Each reads its files strictly,
// records what it read and the seed it drew with, and leaves nothing behind if it fails. ErrorKind::data
// for bad input; before anything is read, ErrorKind::busy if `out` is taken and ErrorKind::io if it cannot
// be written. What is returned is for the user to know, a sentence each: files that are not read, test
// data of another unit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/import_options.h"
#include "data/sources/labelled_images.h"

namespace mld::data {

struct BirdsConfig;
struct Digits;
struct DigitsConfig;

struct MnistSvhnImport {
  std::uint64_t seed = 0;  // of the pairings
  std::int64_t repetitions = 20;
  std::int64_t valid = 0;  // crops at the end of the training file that become the split "valid"
  // .npy or .npy.gz of integers: the photograph that each crop of the training file, or of training and test
  // file one after the other, was cut from. Empty: not known.
  std::filesystem::path photos = {};
};

// MNIST's four IDX files (plain or .gz) and SVHN's train_32x32.mat, test_32x32.mat, paired by class within
// each split (data/store/pairing.h). Modalities mnist [28,28,1] and svhn [32,32,3], bytes, range [0, 1]. All
// items are kept, for stage 1; the sample index pairs the first n of each class, `repetitions` times.
//
// The crops of "valid" and the MNIST digits they are paired with leave "train", so that nothing that is
// trained sees them: the last digits of each class in the training file, as many as there are crops of it.
// With `photos` there are as many crops more as it takes that no photograph is in both splits; without, a
// note. ErrorKind::usage where a class would be left without crops or digits to train on.
std::vector<std::string> import_mnist_svhn(const std::filesystem::path& mnist,
                                           const std::filesystem::path& svhn,
                                           const std::filesystem::path& out, const MnistSvhnImport& options);

// The crops [N,32,32,3] of one SVHN file: MATLAB's X [32,32,3,N] and y [N,1] with 10 for the digit zero.
LabelledImages parse_svhn(std::span<const std::uint8_t> file, const std::string& name);

struct MhdFreeImport {
  std::uint64_t seed = 0;         // of the pairings
  std::int64_t repetitions = 10;  // sounds that each training digit is paired with
  std::int64_t valid = 0;         // digits at the end of the training part that become the split "valid"
  // The recordings of these speakers are the test part, and no others. Empty: those of index 0 to 4 of every
  // speaker, as the Free Spoken Digit Dataset has it.
  std::vector<std::string> test_speakers = {};
  ImportProgress progress = {};
};

// The three modalities of MHD from parts that are free: MNIST's images, the strokes they may have been written with
// (mnist_strokes.npz) and a spoken digit of the same class (a folder of recordings). Modalities image [28,28,1],
// bytes; sound [32,128], decibels of the second around the recording's middle, scaled by the range of the training
// part; trajectory [200], 100 x and 100 y at equal distances along the strokes. Splits share neither a digit nor a
// recording. A digit's image and trajectory are of one writing; its sounds are drawn from the split's recordings of
// its class, `repetitions` times in "train", once elsewhere.
//
// "valid" has, of the training speakers, the recordings of index 5 to 9, which "train" then lacks. ErrorKind::usage
// for a test speaker that there is not, and where a split has no recording of a class that it has a digit of.
std::vector<std::string> import_mhd_free(const std::filesystem::path& mnist,
                                         const std::filesystem::path& strokes,
                                         const std::filesystem::path& speech,
                                         const std::filesystem::path& out, const MhdFreeImport& options);

// PolyMNIST as it is distributed, or any pictures of digits in that layout: FOLDER/train/m0/I.DIGIT.png, and so in
// m1, m2, ... and in test; files of one name in all of them are a sample. Modalities m0, m1, ... [28,28,3], bytes;
// samples in order of I, then DIGIT. Grey pictures become RGB; that, and what else it takes to decode a picture
// (data/formats/image_io.h), is counted in a note. ErrorKind::data, beside what `on_bad` decides about, where the
// names in two modalities differ, and for a .png of another name.
std::vector<std::string> import_polymnist(const std::filesystem::path& folder,
                                          const std::filesystem::path& out, const FolderImport& options);

struct CubImport {
  std::int64_t side = 64;  // of the square pictures, pixels
  FolderImport folder = {};
};

// Words of a caption that are kept, and the mark of its end.
inline constexpr std::int64_t kCaptionLength = 32;

// Caltech-UCSD Birds with captions as the MMVAE project distributes it: FOLDER/train/CLASS/*.jpg and test/CLASS/*.jpg,
// text_trainvalclasses.txt and text_testclasses.txt (or .txt.gz), a caption a line, ten successive ones for every picture
// in the order of folders and names. Modalities image [side, side, 3], bytes, resized without keeping the aspect ratio,
// and caption [kCaptionLength], tokens: words by the Penn Treebank's conventions in the vocabulary of the training
// captions (data/text/vocabulary.h). Sample c is caption c and picture c / 10; classes are the folders. What was done to
// pictures, words that are not in the vocabulary and captions that were cut are counted in notes.
std::vector<std::string> import_cub(const std::filesystem::path& folder, const std::filesystem::path& out,
                                    const CubImport& options);

struct CaptionsImport {
  std::int64_t length = kCaptionLength;  // tokens of each, the mark of the end among them
  std::int64_t together = 1;  // successive lines that describe the same, never torn apart by the split
  double test_fraction = 0;   // held out as test split
  std::uint64_t seed = 0;     // of that split
};

// A text file alone, a caption a line, as the modality caption of import_cub; the vocabulary is of what stays in training.
std::vector<std::string> import_captions(const std::filesystem::path& file, const std::filesystem::path& out,
                                         const CaptionsImport& options);

struct PolyMnistMake {
  std::uint64_t seed = 0;
  int modalities = 5;
  ImportProgress progress = {};
};

// The same data made anew, as their authors made them (T. Sutter, I. Daunhawer, J. Vogt: Generalized Multimodal ELBO,
// 2021): modality k shows the digits of MNIST before the k-th picture of `backgrounds`, in order of their names. Of a
// digit, sample i is the i-th MNIST image of an order drawn for each modality, on a 28 x 28 piece of the picture from
// anywhere in it, whose values v are 1 - v where the digit is brighter than 128 of 255. Where pictures are missing, a
// procedural texture takes their place, which a note says. ErrorKind::data for a picture smaller than 29 x 29.
std::vector<std::string> make_polymnist(const std::filesystem::path& mnist,
                                        const std::filesystem::path& backgrounds,
                                        const std::filesystem::path& out, const PolyMnistMake& options);

struct NpyImport {
  std::filesystem::path
      spec;  // description of the modalities; empty: FOLDER/modalities.json if there, else inferred
  double test_fraction =
      0;  // takes this part of the training samples as test split, if FOLDER/test is not there
  std::uint64_t seed = 0;  // of that split
  ImportProgress progress = {};
};

// The user's own arrays. FOLDER/train/MODALITY.npy, and the same below FOLDER/test and FOLDER/valid if there
// are such splits; the first axis counts samples, in the same order in every file. FOLDER/train/labels.npy:
// optional integers, one class per sample, -1 unknown. A sample lacks a modality (a hole) where all its
// values are NaN, or where the optional MODALITY.mask.npy [N] (bool or integer) is not 0, as in NumPy's
// masked arrays.
//
// The spec is JSON, everything optional but the names:
//   {"name": "...", "classes": K, "modalities": [{"name": "...", "kind": "...", ...}]}
// with the keys of dataset.json per modality; shape and dtype come from the arrays. Without a spec the
// modalities are the files of FOLDER/train in alphabetical order: floats or bytes, [N,D] a vector, [N,H,W]
// and [N,H,W,C] (C of 1, 3 or 4) an image. Series ([N,length,C]), spectrograms and integers (tokens, categories) need
// the spec. uint8 is stored as bytes with range [0, 1], floats as float32; images and spectrograms of floats must lie
// in [0, 1] unless "range" says otherwise; the range of a vector or series is that of its training values unless given.
//
// The arrays of all splits have the training array's shape (a last axis of 1 may be left out of images, series
// and single values) and sort of elements: uint8, booleans, integers, or floats of either size. Declared ranges
// hold for all. Values of other vectors and series may lie outside the training range, by kVectorSlack times its width
// at most (data/store/modality_check.h): what is farther out is in other units, unless "range" declares that
// it is not. Values that fill less than that part of the training range are a note.
//
// Masks and labels that belong to nothing are errors, other files that are not read are notes; names that
// start with a dot are not seen. A vocabulary is UTF-8, one token per line, and may have a byte order mark,
// CR before LF, and blank lines at its end.
std::vector<std::string> import_npy(const std::filesystem::path& folder, const std::filesystem::path& out,
                                    const NpyImport& options);

// The procedural digits (data/digits/digits.h): modalities image, sound, trajectory, the order of MHD. `seed`
// is recorded.
void write_digits(const Digits& digits, const std::filesystem::path& out, std::uint64_t seed);
// Makes and writes them; an `out` that cannot be written is noticed first.
void write_digits(const DigitsConfig& config, const std::filesystem::path& out);

// The drawn birds with ten captions each (data/birds/birds.h): modalities image [64,64,3], bytes, and caption as that of
// import_cub, sample c is caption c and picture c / 10. Attributes are described, classes are their combinations.
std::vector<std::string> write_birds(const BirdsConfig& config, const std::filesystem::path& out,
                                     const ImportProgress& progress = {});

}  // namespace mld::data
