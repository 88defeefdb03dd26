// Slack's date tokens, in the reader's time zone.

const formatters = new Map();

/** A formatter, made once: making them is slow. An unknown time zone is read as the browser's own. */
function formatter(locale, timeZone, options) {
  const key = `${locale} ${timeZone} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, make(locale, timeZone, options));
  return formatters.get(key);
}

function make(locale, timeZone, options) {
  try {
    return new Intl.DateTimeFormat(locale, { timeZone: timeZone || undefined, ...options });
  } catch {
    return new Intl.DateTimeFormat(locale, options);
  }
}

const DATE = { day: "numeric", month: "long", year: "numeric" };
const SHORT = { day: "numeric", month: "short", year: "numeric" };
const LONG = { weekday: "long", ...DATE };
const TIME = { hour: "2-digit", minute: "2-digit" };
const plain = (options) => (at) => at.say(options);
const pretty = (options) => (at) => at.near() ?? at.say(options);
const TOKENS = {
  date_num: (at) => at.key(at.stamp),
  date_slash: (at) => at.key(at.stamp).replaceAll("-", "/"),
  date: plain(DATE), date_short: plain(SHORT), date_long: plain(LONG), date_long_full: plain(LONG),
  date_pretty: pretty(DATE), date_short_pretty: pretty(SHORT), date_long_pretty: pretty(LONG), day_divider_pretty: pretty(LONG),
  time: plain(TIME), time_secs: plain({ ...TIME, second: "2-digit" }),
  ago: (at) => ago(at.now - at.stamp),
};

/** The format with its tokens filled in; null where the stamp is no moment. */
export function formatDate(stamp, format, ctx) {
  const seconds = stamp === "" || stamp === null ? NaN : Number(stamp);
  if (Number.isNaN(new Date(seconds * 1000).getTime())) return null;
  const tz = ctx?.tz;
  const at = {
    stamp: seconds,
    now: ctx?.now?.() ?? Date.now() / 1000,
    say: (options) => formatter("en-GB", tz, options).format(seconds * 1000),
    key: (moment) => formatter("en-CA", tz, { year: "numeric", month: "2-digit", day: "2-digit" }).format(moment * 1000),
    near: () => {
      const day = at.key(seconds);
      if (day === at.key(at.now)) return "today";
      if (day === at.key(at.now - 86400)) return "yesterday";
      return day === at.key(at.now + 86400) ? "tomorrow" : null;
    },
  };
  return String(format).replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(TOKENS, name) ? TOKENS[name](at) : whole));
}

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(seconds) {
  const [unit, size] = STEPS.find(([, one]) => Math.abs(seconds) >= one) ?? [];
  if (!unit) return seconds < 0 ? "in a moment" : "just now";
  const count = Math.floor(Math.abs(seconds) / size);
  const amount = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return seconds < 0 ? `in ${amount}` : `${amount} ago`;
}

/** A moment as `YYYY-MM-DDTHH:MM` on the clocks of a time zone. */
export function wallClock(seconds, tz) {
  const parts = formatter("en-CA", tz, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(seconds * 1000);
  const of = (type) => parts.find((part) => part.type === type).value;
  return `${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}`;
}

/** The moment at which the clocks of a time zone show `YYYY-MM-DDTHH:MM`, in seconds. */
export function momentOf(wall, tz) {
  const wanted = Date.parse(`${wall}Z`) / 1000;
  let moment = wanted;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  for (let round = 0; round < 2; round += 1) moment += wanted - Date.parse(`${wallClock(moment, tz)}Z`) / 1000;
  return Math.floor(moment);
}
