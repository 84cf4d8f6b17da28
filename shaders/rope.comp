// Rotates the first n_rot values of every head in place, one thread per pair.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "engine/backend/device/kernel_params.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { RopeConstants c; };
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) readonly buffer Frequencies { float frequencies[]; };  // (n_rot / 2), radians per position
layout(binding = 2) readonly buffer Step { StepState step_state; };

// Cosine and sine of frequency * position. A position of thousands times a frequency leaves too few digits in 32 bits
// for an angle, and a device's sine need not be exact far from zero. The product is computed in two parts and reduced to
// -pi … pi. A device may round twice in fma(), so both parts come from products of 12 bits by 12, which are exact.
vec2 rotation(float frequency, uint position) {
  const float p = float(position), p_high = float(position & ~0xfffu), p_low = float(position & 0xfffu);
  const float f_high = uintBitsToFloat(floatBitsToUint(frequency) & 0xfffff000u), f_low = frequency - f_high;
  precise const float product = frequency * p;
  // What rounding lost (Dekker 1971).
  precise const float rest = ((f_high * p_high - product) + f_high * p_low + f_low * p_high) + f_low * p_low;
  const float turns_per_radian = 0.15915494309189535;
  const float turns = round(product * turns_per_radian);
  // 2 pi in three parts, the first two with few enough bits that turns * part is exact up to 2^15 turns.
  precise float angle = product - turns * 6.28125;
  angle = angle - turns * 1.934051513671875e-3;
  angle = (angle - turns * 1.255665914562976e-6) + rest;
  return vec2(cos(angle), sin(angle));
}

void main() {
  const uint pair = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, n_half = c.n_rot / 2;
  if (pair >= c.n_heads * n_half) return;
  const uint head = pair / n_half, i = pair % n_half;
  const uint position = (c.is_step != 0 ? step_state.position : c.position0) + row;
  const uint first = c.x_offset + row * c.x_stride + head * c.head_dim;
  const uint at = first + (c.is_interleaved != 0 ? 2 * i : i), other = c.is_interleaved != 0 ? at + 1 : at + n_half;
  const vec2 r = rotation(frequencies[i], position);
  const float a = x[at], b = x[other];
  x[at] = a * r.x - b * r.y;
  x[other] = a * r.y + b * r.x;
}
