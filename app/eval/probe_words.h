// The words and sentences from which probes are built. Names and things are common words, one or two tokens in most
// vocabularies. The filler has no numbers and no names, so that it cannot be confused with an answer.
#pragma once

#include <array>

namespace headroom::eval {

inline constexpr std::array probe_people{"Anna",  "Peter",  "Maria", "David",  "Laura",  "Thomas", "Helen",  "Robert",
                                         "Alice", "Simon",  "Julia", "Daniel", "Emma",   "Oliver", "Sarah",  "Martin",
                                         "Nina",  "Victor", "Clara", "Henry",  "Sophie", "Walter", "Rachel", "George"};

inline constexpr std::array probe_places{"harbour", "library", "museum",  "station", "theatre", "hospital",
                                         "castle",  "market",  "school",  "bridge",  "garden",  "factory",
                                         "tower",   "chapel",  "stadium", "airport", "bakery",  "lighthouse"};

inline constexpr std::array probe_words{
    "river",  "candle", "silver", "window", "orange",  "mountain", "paper",   "copper", "garden", "winter",
    "yellow", "stone",  "forest", "bottle", "summer",  "purple",   "iron",    "basket", "ocean",  "hammer",
    "velvet", "bridge", "cotton", "desert", "feather", "marble",   "kitchen", "planet", "rabbit", "thunder",
    "violin", "wagon",  "island", "ladder", "mirror",  "needle",   "pepper",  "ribbon", "saddle", "tiger"};

inline constexpr std::array probe_colours{"red", "blue", "green", "white", "black", "brown", "grey", "golden"};

inline constexpr std::array probe_things{"lamp", "coat", "box", "chair", "map",  "key",  "drum",  "boat",
                                         "bell", "hat",  "cup", "book",  "rope", "coin", "clock", "flag"};

inline constexpr std::array probe_verbs{"carried", "painted", "found", "sold", "hid", "repaired", "lost", "borrowed"};

inline constexpr std::array probe_filler{
    "The morning was cold and the streets were still quiet.",
    "A light rain had fallen during the night and the roofs were shining.",
    "Somewhere behind the houses a dog was barking at nothing in particular.",
    "The old trees along the road had lost most of their leaves.",
    "People walked slowly, with their hands deep in their pockets.",
    "In the small shop at the corner the owner was putting out fresh bread.",
    "Nobody seemed to be in a hurry on a day like this.",
    "The smell of coffee came out of an open window.",
    "Two children were looking for the best way to cross a puddle.",
    "A bus went by with only a few passengers in it.",
    "The clouds moved quickly over the hills in the west.",
    "Later in the day the sun was expected to come out.",
    "There was a bench by the water where one could sit and read.",
    "The paint on the wooden fence had begun to peel off.",
    "Birds gathered on the wires and flew away again.",
    "Inside, the fire was warm and the tea was almost ready.",
    "Letters were lying on the table, most of them unopened.",
    "A soft wind was moving the curtains back and forth.",
    "The road to the valley was closed because of the snow.",
    "Farmers were talking about the weather, as they always did.",
    "The kitchen was full of steam and the windows had turned white.",
    "From the top of the hill one could see the whole town.",
    "Music was coming from a room on the upper floor.",
    "The train was late again, and nobody knew the reason.",
    "Everyone agreed that it had been a very short summer.",
    "The grass was wet and shoes left dark marks on the stone steps.",
    "A cat was asleep on the warm hood of a parked car.",
    "Some of the lamps had already been switched on.",
    "The bread was still warm when it was cut into thick slices.",
    "Small waves were breaking against the wall of the pier.",
    "The last visitors had left and the doors were being closed.",
    "It was the kind of evening on which one stays at home.",
};

}  // namespace headroom::eval
