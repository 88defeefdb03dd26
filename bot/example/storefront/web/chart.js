// Draws how many orders there were each day.
export async function draw(canvas) {
  const answer = await fetch("/shop/sales.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const { days } = await answer.json();
  const pen = canvas.getContext("2d");
  const most = Math.max(1, ...days.map((day) => day.orders));
  const width = canvas.width / days.length;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  days.forEach((day, index) => {
    const height = (canvas.height - 30) * (day.orders / most);
    pen.fillStyle = index === days.length - 1 ? "#1d4ed8" : "#93c5fd";
    pen.fillRect(index * width + 4, canvas.height - height - 16, width - 8, height);
    pen.fillStyle = "#4b5563";
    pen.font = "10px sans-serif";
    pen.fillText(day.day.slice(5), index * width + 4, canvas.height - 4);
  });
  canvas.dataset.drawn = String(days.length);
}
