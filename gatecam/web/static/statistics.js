// The statistics page: people of a range of days, by hour, day, weekday or camera. The address keeps what is chosen.
"use strict";
const FIELDS = ["first", "last", "camera", "by"], DAYS = 30;
const dayOf = (moment) => `${moment.getFullYear()}-${String(moment.getMonth() + 1).padStart(2, "0")}-${String(moment.getDate()).padStart(2, "0")}`;

function query() {
  return new URLSearchParams(FIELDS.filter((name) => $(name).value).map((name) => [name, $(name).value]));
}
function link() {
  $("csv").href = `api/statistics.csv?${query()}`;
}
async function show() {
  const asked = query(), told = await ask(`/api/statistics?${asked}`);
  if (`${asked}` !== `${query()}`) return;
  history.replaceState(null, "", `?${asked}`);
  $("range").textContent = told.range;
  $("summary").textContent = told.summary;
  $("chart").innerHTML = told.chart;
  $("numbers").innerHTML = told.table;
  const known = new Set([...$("camera").options].map((option) => option.value));
  for (const name of told.cameras) if (!known.has(name)) $("camera").add(new Option(name));
}

const given = new URLSearchParams(location.search), first = new Date();
first.setDate(first.getDate() - DAYS + 1);
$("first").value = dayOf(first);
$("last").value = dayOf(new Date());
if (given.get("camera")) $("camera").add(new Option(given.get("camera")));
for (const name of FIELDS) if (given.get(name)) $(name).value = given.get(name);
link();
$("filter").onsubmit = (event) => { event.preventDefault(); show().catch(tell("summary")); };
$("filter").oninput = link;
$("print").onclick = () => print();
session().then(show).catch(tell("summary"));
