// A page of text with a question about it, for the first card of an empty chat. It is long enough that the heads evict
// a good part of it, and short enough that a small machine prefills it in seconds.
#pragma once

namespace headroom {

inline constexpr const char* example_page_title =
    "See what a long text saves: a page about a lighthouse, and a question about it.";

inline constexpr const char* example_page =
    "Read this page, then answer the question below it.\n\n"
    "The lighthouse on Gull Rock was built in 1874, after three ships had been lost on the reef in one "
    "winter. The rock is small and bare, forty steps long and twenty wide at low tide, and at high tide the "
    "waves reach the door. Every stone of the tower was cut on the mainland, numbered, and brought over by "
    "boat in calm weather. There were few calm days. The builders planned for two summers and needed five, "
    "and the first course of stones was washed away twice before iron bolts held it to the rock.\n\n"
    "The tower is thirty-one metres high. Its walls are more than two metres thick at the foot and less than "
    "half of that at the top. A narrow stair winds up inside, past the store for oil, the kitchen, the room "
    "where the keepers slept in curved beds that followed the wall, and the watch room, to the lantern. The "
    "lamp burned oil at first, and a clockwork turned the lens around it. A keeper wound the clockwork every "
    "four hours, by night and by day, because a lens that stands still in the sun can set fire to a house on "
    "the shore.\n\n"
    "Three keepers lived on the rock at a time. Two months out, one month home: so the rule said, but the "
    "boat that brought the relief needed a quiet sea, and in bad winters nobody came or went for ten weeks. "
    "They baked their own bread, fished from the steps when the swell allowed it, and kept a diary of wind, "
    "fog, passing ships and birds. The longest entry is of the night of 3 November 1891, when a storm broke "
    "two panes of the lantern and the keepers held a mattress against the hole until morning, so that the "
    "light did not go out. No ship was lost that night.\n\n"
    "The youngest of the three in that year was Edith Marlow, who had come to the rock as a cook and was "
    "entered in the books as a keeper only after the storm. She stayed for nineteen years. She taught herself "
    "the names of the seaweeds, pressed more than four hundred of them between sheets of blotting paper, and "
    "sent them to a museum, which has them still. One red weed, found on the north side of the rock and "
    "nowhere else, carries her name.\n\n"
    "In 1926 the lamp became electric, and a cable was laid from the shore. It broke every few winters, so "
    "the oil was kept in the store for another twenty years. In 1968 the last keepers left. A machine now "
    "turns the lamp on at dusk and off at dawn, and reports by radio when something is wrong. A boat comes "
    "twice a year to clean the panes and to count the seabirds, which have taken over the steps, the landing "
    "and the sills of all the windows. The light can be seen from eighteen miles away, one white flash every "
    "seven seconds, as it was on the first night.\n\n"
    "What is this page about? Answer in two sentences.";

}  // namespace headroom
