// The scratch of a layer: K of every row of a turn, then V; f16, two values per word. Found by its address,
// since the scratch of a long turn may be larger than what a device binds at once.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer ScratchWords { uint at[]; };
