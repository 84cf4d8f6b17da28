// Rotates the first n_rot values of every head in place, a pair a thread.
#version 460
#extension GL_GOOGLE_include_directive : require

#include "shaders/constants.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Constants { RopeConstants c; };
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) readonly buffer Frequencies { float frequencies[]; };  // (n_rot / 2), radians a position
layout(binding = 2) readonly buffer Step { StepState step_state; };

// Cosine and sine of frequency * position. A position of thousands times a frequency has too few digits left in 32 bits
// for an angle, and a device's sine need not be exact far from zero: the product is reduced to -pi … pi in two parts.
vec2 rotation(float frequency, uint position) {
  const float turns_per_radian = 0.15915494309189535;
  const float p = float(position);
  const float product = frequency * p;
  const float rest = fma(frequency, p, -product);  // what rounding lost
  const float turns = round(product * turns_per_radian);
  // 2 pi in three parts, the first two with few enough bits that turns * part is exact up to 2^11 turns.
  float angle = fma(-turns, 6.28125, product);
  angle = fma(-turns, 1.93500518798828125e-3, angle);
  angle = fma(-turns, 3.0199159819853e-7, angle) + rest;
  return vec2(cos(angle), sin(angle));
}

void main() {
  const uint pair = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, n_half = c.n_rot / 2;
  if (pair >= c.n_heads * n_half) return;
  const uint head = pair / n_half, i = pair % n_half;
  const uint position = (c.is_step != 0 ? step_state.position : c.position0) + row;
  const uint first = c.x_offset + row * c.x_stride + head * c.head_dim;
  const uint at = first + (c.is_neighbours != 0 ? 2 * i : i), other = c.is_neighbours != 0 ? at + 1 : at + n_half;
  const vec2 r = rotation(frequencies[i], position);
  const float a = x[at], b = x[other];
  x[at] = a * r.x - b * r.y;
  x[other] = a * r.y + b * r.x;
}
