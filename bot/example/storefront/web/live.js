// Shows what happens in the shop while it happens.
export function listen(place) {
  const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${window.location.host}/live`);
  let waiting = 1000;
  socket.addEventListener("message", (event) => {
    const said = JSON.parse(event.data);
    if (said.text) place.textContent = said.text;
  });
  socket.addEventListener("close", () => {
    waiting = Math.min(waiting * 2, 30000);
    setTimeout(() => listen(place), waiting);
  });
}
