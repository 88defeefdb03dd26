// What a drawing of blocks needs to know of the page around it.
import { now, store } from "./store.js";

const doors = { channel: () => {}, link: () => false, image: () => {}, user: () => {} };

/** Where links, channels and people lead; set once at start. */
export function openDoors(given) {
  Object.assign(doors, given);
}

/** The context for one message, form or home tab; `key` names this client's own element state. */
export function makeContext(surface, key, onAction) {
  return {
    surface, key, onAction, now,
    get users() { return store.users; },
    get channels() { return store.channels; },
    get usergroups() { return store.usergroups; },
    get tz() { return store.me?.tz; },
    get me() { return store.me?.id; },
    openUser: (id) => doors.user(id),
    openChannel: (id) => doors.channel(id),
    openLink: (url) => doors.link(url),
    openImage: (src, alt) => doors.image(src, alt),
  };
}
