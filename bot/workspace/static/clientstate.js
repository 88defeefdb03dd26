// What this client shows in stateful elements, kept as Slack's clients keep it: by message, block and action.
// A message drawn again with the same block_id keeps the client's own ticks; a new block_id starts anew.
// Each person this page acts as has a client of their own.

import { store } from "./store.js";

const SEPARATOR = "\u0000";
const kept = new Map();

/** What names an element's state: who looks, at which message or form, block and action. */
export function stateKey(ctx, blockId, actionId) {
  return [ctx.me ?? "", ctx.key, blockId, actionId].join(SEPARATOR);
}

/** The element's value as this client shows it: its own, or what the drawing begins with. */
export function valueOf(ctx, blockId, element) {
  const key = stateKey(ctx, blockId, element.action_id);
  if (!kept.has(key)) kept.set(key, initial(element));
  return kept.get(key);
}

/** The person changed it. */
export function keep(ctx, blockId, element, value) {
  kept.set(stateKey(ctx, blockId, element.action_id), value);
}

/** Forget what blocks that are not drawn any more showed. */
export function prune(ctx, blocks) {
  const alive = new Set(blocks.map((block) => block.block_id));
  for (const name of [...kept.keys()]) {
    const [me, key, blockId] = name.split(SEPARATOR);
    if (key === ctx.key && me === (ctx.me ?? "") && !alive.has(blockId)) kept.delete(name);
  }
}

/** Forget everything of a message or form. */
export function forget(key) {
  for (const name of [...kept.keys()]) if (name.split(SEPARATOR)[1] === key) kept.delete(name);
}

/** The conversation the person looks at, where the element asks for it and its filter has it. */
function here({ default_to_current_conversation: wanted, filter }) {
  const channel = store.view === "channel" ? store.channels.get(store.channel) : null;
  const kind = channel?.is_im ? "im" : channel?.is_private ? "private" : "public";
  return wanted && channel && (!filter?.include || filter.include.includes(kind)) ? channel.id : null;
}

const option = (element) => ({ selected_option: element.initial_option ?? null });
const INITIAL = {
  checkboxes: (e) => ({ selected_options: e.initial_options ?? [] }),
  radio_buttons: option,
  static_select: option,
  external_select: option,
  users_select: (e) => ({ selected_user: e.initial_user ?? null }),
  conversations_select: (e) => ({ selected_conversation: e.initial_conversation ?? here(e) }),
  channels_select: (e) => ({ selected_channel: e.initial_channel ?? null }),
  multi_static_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  multi_external_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  multi_users_select: (e) => ({ selected_users: e.initial_users ?? [] }),
  multi_conversations_select: (e) => ({ selected_conversations: e.initial_conversations ?? [] }),
  multi_channels_select: (e) => ({ selected_channels: e.initial_channels ?? [] }),
  datepicker: (e) => ({ selected_date: e.initial_date ?? null }),
  timepicker: (e) => ({ selected_time: e.initial_time ?? null }),
  datetimepicker: (e) => ({ selected_date_time: e.initial_date_time ?? null }),
  plain_text_input: (e) => ({ value: e.initial_value ?? null }),
  number_input: (e) => ({ value: e.initial_value ?? null }),
  email_text_input: (e) => ({ value: e.initial_value ?? null }),
  url_text_input: (e) => ({ value: e.initial_value ?? null }),
  rich_text_input: (e) => ({ rich_text_value: e.initial_value ?? null }),
  file_input: () => ({ files: [] }),
};

function initial(element) {
  return INITIAL[element.type]?.(element) ?? {};
}

/** Whether the element has a value of its own. */
export function isStateful(element) {
  return element?.type in INITIAL;
}

/** The elements of a block that may be stateful. */
export function elementsOf(block) {
  if (block.type === "input") return block.element ? [block.element] : [];
  if (block.type === "section") return block.accessory ? [block.accessory] : [];
  if (block.type === "actions") return block.elements ?? [];
  return [];
}

/** Slack's `state.values` for these blocks, as this client shows them. */
export function readState(ctx, blocks) {
  const values = {};
  for (const block of flatten(blocks)) {
    for (const element of elementsOf(block)) {
      if (!isStateful(element)) continue;
      values[block.block_id] ??= {};
      values[block.block_id][element.action_id] = { type: element.type, ...stillOffered(element, valueOf(ctx, block.block_id, element)) };
    }
  }
  return values;
}

/** The value without options that this drawing no longer has; options looked up elsewhere stay. */
function stillOffered(element, value) {
  const options = element.option_groups?.flatMap((group) => group.options) ?? element.options;
  if (!options) return value;
  const now = new Map(options.map((one) => [one.value, one]));
  if (value.selected_options) return { selected_options: value.selected_options.flatMap((one) => now.get(one.value) ?? []) };
  return { selected_option: now.get(value.selected_option?.value) ?? null };
}

/** Blocks with those inside containers. */
export function flatten(blocks) {
  return (blocks ?? []).flatMap((block) => [block, ...flatten(block.child_blocks)]);
}
