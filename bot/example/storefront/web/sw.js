// Keeps hashed assets, which never change under one name.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || !address.pathname.startsWith("/assets/")) return;
  event.respondWith(
    caches.open("assets").then(async (kept) => {
      const found = await kept.match(event.request);
      if (found) return found;
      const answer = await fetch(event.request);
      if (answer.ok) await kept.put(event.request, answer.clone());
      return answer;
    }),
  );
});
