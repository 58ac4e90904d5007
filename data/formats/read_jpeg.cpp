#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "data/formats/orientation.h"
#include "data/formats/picture_readers.h"

#ifdef MLD_HAVE_JPEG
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>
// after jpeglib.h
#include <jerror.h>
#endif

namespace mld::data {

#ifdef MLD_HAVE_JPEG

namespace formats {
namespace {

// libjpeg reports errors by calling a function that must not return: it jumps back into `decode`.
struct JpegError {
  jpeg_error_mgr manager;  // first, so that a pointer to it is one to the whole
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr decoder) {
  auto* error = reinterpret_cast<JpegError*>(decoder->err);
  decoder->err->format_message(decoder, error->message);
  std::longjmp(error->back, 1);
}

// Decodes row by row; every object with a destructor lives in the caller, since a jump would skip it.
struct JpegDecoder {
  static constexpr int kExifMarker = JPEG_APP0 + 1;
  jpeg_decompress_struct state{};
  JpegError error{};
  bool inks = false;  // rows are CMYK

  JpegDecoder() {
    state.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = leave;
    error.manager.emit_message = [](j_common_ptr decoder, int level) {
      // A warning means damaged data, in whose place libjpeg would make something up; stray
      // bytes are harmless.
      if (level < 0 && decoder->err->msg_code != JWRN_EXTRANEOUS_DATA) leave(decoder);
    };
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&state); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header(Bytes bytes) {
    if (setjmp(error.back) != 0) return false;
    jpeg_create_decompress(&state);
    jpeg_mem_src(&state, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&state, kExifMarker, 0xFFFF);
    jpeg_read_header(&state, TRUE);
    const J_COLOR_SPACE found = state.jpeg_color_space;
    inks = found == JCS_CMYK || found == JCS_YCCK;
    state.out_color_space = inks ? JCS_CMYK : found == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    return true;
  }
  int orientation() const {
    constexpr std::string_view kExif("Exif\0\0", 6);
    for (const jpeg_marker_struct* m = state.marker_list; m != nullptr; m = m->next) {
      const Bytes data(m->data, m->data_length);
      if (m->marker == kExifMarker && data.size() >= kExif.size() &&
          std::memcmp(data.data(), kExif.data(), kExif.size()) == 0)
        return exif_orientation(data.subspan(kExif.size()));
    }
    return 1;
  }
  bool read_rows(std::uint8_t* out, std::size_t stride) {
    if (setjmp(error.back) != 0) return false;
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      JSAMPROW line = out + state.output_scanline * stride;
      jpeg_read_scanlines(&state, &line, 1);
    }
    jpeg_finish_decompress(&state);
    return true;
  }
};

// [.., 4] inks to [.., 3] colours. Adobe's programs write what is left of the white instead of the ink.
Picture without_inks(Picture picture, bool adobe) {
  const std::uint8_t flip = adobe ? 0 : 255;
  Picture out{{picture.size.height, picture.size.width, 3}, {}, {kWithoutInks}};
  out.bytes.reserve(picture.bytes.size() / 4 * 3);
  for (std::size_t p = 0; p < picture.bytes.size(); p += 4) {
    const unsigned white = picture.bytes[p + 3] ^ flip;
    for (std::size_t c = 0; c < 3; ++c)
      out.bytes.push_back(static_cast<std::uint8_t>(((picture.bytes[p + c] ^ flip) * white + 127) / 255));
  }
  return out;
}

}  // namespace

Picture read_jpeg(Bytes bytes, const std::string& name) {
  JpegDecoder decoder;
  if (!decoder.read_header(bytes)) corrupt(name, "JPEG", decoder.error.message);
  check_size(decoder.state.image_height, decoder.state.image_width, name);
  const bool grey = decoder.state.out_color_space == JCS_GRAYSCALE;
  Picture picture{{decoder.state.image_height, decoder.state.image_width,
                   decoder.inks ? 4
                   : grey       ? 1
                                : 3},
                  {},
                  {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  const auto stride = static_cast<std::size_t>(picture.size.width * picture.size.channels);
  const int orientation = decoder.orientation();  // before the decoder frees the markers
  if (!decoder.read_rows(picture.bytes.data(), stride)) corrupt(name, "JPEG", decoder.error.message);
  if (decoder.inks) picture = without_inks(std::move(picture), decoder.state.saw_Adobe_marker != FALSE);
  return oriented(std::move(picture), orientation);
}

}  // namespace formats

bool have_jpeg() { return true; }

#else

Picture formats::read_jpeg(Bytes, const std::string& name) { missing_library(name, "JPEG", "libjpeg"); }

bool have_jpeg() { return false; }

#endif

}  // namespace mld::data
