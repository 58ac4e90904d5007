// What libsndfile lets pass or cannot read in the lengths that a WAV file (RIFF, little-endian) states. Private to the
// data room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mld::data {

// ErrorKind::data if the file is shorter than its header says, of which libsndfile reads what there is. `name` starts
// the message. Other formats pass.
void check_riff_length(std::span<const std::uint8_t> bytes, const std::string& name);

// Programs that stream write 0, 0x7FFFFFFF or 0xFFFFFFFF for lengths that they do not know yet. If the end of such a
// file never came to be told: the file with the lengths that it has, its samples going to its end. Empty for others.
std::vector<std::uint8_t> completed_wave(std::span<const std::uint8_t> bytes);

}  // namespace mld::data
