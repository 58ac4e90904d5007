// A small store with every kind of modality and every optional key, for tests to read, damage and compare.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "tests/data/files.h"

namespace mld::test {

using namespace data;

inline Modality modality(const std::string& name, ModalityKind kind, const Shape& shape, DType dtype) {
  Modality m;
  m.name = name;
  m.kind = kind;
  m.shape = shape;
  m.dtype = dtype;
  return m;
}

// Every kind, every optional key.
inline Description describe() {
  Description d;
  d.name = "a \"small\" set";
  d.classes = 3;
  d.modalities = {modality("pic", ModalityKind::image, {2, 1, 3}, DType::u8),
                  modality("sound", ModalityKind::spectrogram, {2, 2}, DType::f32),
                  modality("pen", ModalityKind::vector, {2}, DType::f32),
                  modality("words", ModalityKind::tokens, {2}, DType::i32),
                  modality("attr-1", ModalityKind::categorical, {1}, DType::i32)};
  d.modalities[0].range = {-1, 1};
  d.modalities[1].original_range = ValueRange{-80, 0};
  d.modalities[1].audio = AudioFrontEnd{16000, 2048, 512};
  d.modalities[2].pen_path = true;
  d.modalities[3].categories = 4;
  d.modalities[3].vocabulary = "words.txt";
  d.modalities[4].categories = 2;
  d.provenance = {"test", 0xffffffffffffffffULL, {{"a.npy", 12, "0123abcd"}}};
  return d;
}

inline const Bytes kPictures{0, 255, 51, 102, 153, 204, 1, 2, 3, 4, 5, 6};  // two items
inline const Reals kSounds{0.5F, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};        // three
inline const Ints kIndex{0,      0,  0,  0, 0,  /**/ -1, 1, 0, -1, 1,
                         /**/ 1, -1, -1, 1, -1, /**/ 0,  2, 0, 0,  0};  // four samples

inline void fill_train(StoreWriter& writer) {
  writer.add_items("train", 0, std::span(kPictures).first(6));
  writer.add_items("train", 0, std::span(kPictures).subspan(6));
  writer.add_items("train", 1, kSounds);
  writer.add_items("train", 2, Reals{0.25F, 0.75F});
  writer.add_items("train", 3, Ints{0, 3, 2, 1});
  writer.add_items("train", 4, Ints{1, 0});
  writer.set_item_labels("train", 0, Ints{2, -1});
  writer.set_samples("train", kIndex, Ints{2, 1, -1, 2});
  writer.set_vocabulary(3, std::vector<std::string>{"<exc>", "<pad>", "<eos>", "bird"});
}

inline void fill_test(StoreWriter& writer) {
  writer.add_items("test", 0, Bytes(12, 7));
  writer.add_items("test", 1, Reals(8, 0.0F));
  writer.add_items("test", 2, Reals());
  writer.add_items("test", 3, Ints());
  writer.add_items("test", 4, Ints());
  // Two pairings of two items each.
  writer.set_samples("test", Ints{0, 0, -1, -1, -1, 1, 1, -1, -1, -1, 0, 1, -1, -1, -1, 1, 0, -1, -1, -1},
                     Ints{0, 1, 0, 1}, 2);
}

inline fs::path make_store(const TempFolder& folder) {
  const fs::path out = folder / "set";
  StoreWriter writer(out, describe());
  fill_train(writer);
  fill_test(writer);
  writer.commit();
  return out;
}

// What an importer of before wrote: the same without fingerprint and checksums.
inline void make_version_1(const fs::path& store) {
  Description d = Store::open(store).description();
  d.fingerprint.clear();
  write_bytes(store / "dataset.json", to_json(d));
  fs::remove(store / "checksums.json");
}

inline void flip_bit(const fs::path& file, std::size_t bit) {
  std::string text = read_bytes(file);
  REQUIRE(bit / 8 < text.size());
  text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  write_bytes(file, text);
}

}  // namespace mld::test
