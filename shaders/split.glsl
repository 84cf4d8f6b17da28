// The slots of one head that one work group attends to. All splits of a head have equally many slots, except the last,
// which ends with the step's token. A layer's splits are numbered head by head. Needs heads[] and the constants c.

struct Split {
  uint head;  // number in its layer
  uint first_slot;
  uint n_slots;
  uint is_last;
};

Split find_split(uint number) {
  uint h = 0;
  while (h + 1 < c.n_kv_heads && heads[c.head_begin + h + 1].first_split <= number) ++h;
  const StepHead head = heads[c.head_begin + h];
  const uint first = (number - head.first_split) * head.split_slots, n_left = head.n_slots + 1 - first;
  return Split(h, first, min(head.split_slots, n_left), n_left <= head.split_slots ? 1 : 0);
}
