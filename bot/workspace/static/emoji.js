// Shortcodes and their characters, as chat programs commonly name them.
const TABLE = `
grinning😀 smiley😃 smile😄 grin😁 laughing😆 sweat_smile😅 rolling_on_the_floor_laughing🤣 joy😂 slightly_smiling_face🙂 upside_down_face🙃 wink😉 blush😊 innocent😇 heart_eyes😍 star-struck🤩 kissing_heart😘 yum😋 stuck_out_tongue😛 zany_face🤪 hugging_face🤗 thinking_face🤔 thinking🤔 shushing_face🤫 zipper_mouth_face🤐 neutral_face😐 expressionless😑 no_mouth😶 smirk😏 unamused😒 face_with_rolling_eyes🙄 grimacing😬 relieved😌 pensive😔 sleepy😪 sleeping😴 mask😷 nauseated_face🤢 hot_face🥵 cold_face🥶 exploding_head🤯 partying_face🥳 sunglasses😎 nerd_face🤓 confused😕 worried😟 slightly_frowning_face🙁 open_mouth😮 astonished😲 flushed😳 pleading_face🥺 fearful😨 cold_sweat😰 cry😢 sob😭 scream😱 disappointed😞 sweat😓 weary😩 tired_face😫 yawning_face🥱 triumph😤 rage😡 angry😠 skull💀 hankey💩 clown_face🤡 ghost👻 alien👽 robot_face🤖 
wave👋 raised_hand✋ hand✋ ok_hand👌 v✌️ crossed_fingers🤞 call_me_hand🤙 point_left👈 point_right👉 point_up_2👆 point_down👇 +1👍 thumbsup👍 -1👎 thumbsdown👎 fist✊ facepunch👊 clap👏 raised_hands🙌 open_hands👐 handshake🤝 pray🙏 writing_hand✍️ muscle💪 eyes👀 eye👁️ brain🧠 shrug🤷 facepalm🤦 man-shrugging🤷‍♂️ woman-shrugging🤷‍♀️ technologist🧑‍💻 firefighter🧑‍🚒 detective🕵️ superhero🦸 ninja🥷 runner🏃 walking🚶 
heart❤️ orange_heart🧡 yellow_heart💛 green_heart💚 blue_heart💙 purple_heart💜 black_heart🖤 broken_heart💔 sparkling_heart💖 100💯 anger💢 boom💥 collision💥 dizzy💫 sweat_drops💦 dash💨 speech_balloon💬 thought_balloon💭 zzz💤 
monkey_face🐵 see_no_evil🙈 dog🐶 cat🐱 unicorn_face🦄 tiger🐯 cow🐮 pig🐷 bear🐻 panda_face🐼 penguin🐧 bird🐦 owl🦉 frog🐸 turtle🐢 snake🐍 whale🐳 dolphin🐬 shark🦈 octopus🐙 snail🐌 butterfly🦋 bug🐛 ant🐜 bee🐝 beetle🐞 crab🦀 elephant🐘 
bouquet💐 cherry_blossom🌸 rose🌹 sunflower🌻 seedling🌱 evergreen_tree🌲 deciduous_tree🌳 palm_tree🌴 cactus🌵 herb🌿 four_leaf_clover🍀 maple_leaf🍁 mushroom🍄 apple🍎 banana🍌 grapes🍇 lemon🍋 strawberry🍓 avocado🥑 pizza🍕 hamburger🍔 fries🍟 popcorn🍿 cookie🍪 birthday🎂 cake🍰 chocolate_bar🍫 coffee☕ tea🍵 beer🍺 beers🍻 wine_glass🍷 champagne🍾 
earth_africa🌍 earth_americas🌎 earth_asia🌏 globe_with_meridians🌐 world_map🗺️ mountain⛰️ volcano🌋 house🏠 office🏢 factory🏭 bank🏦 hospital🏥 construction🏗️ building_construction🏗️ bridge_at_night🌉 
car🚗 bus🚌 train🚆 bullettrain_side🚄 steam_locomotive🚂 ambulance🚑 fire_engine🚒 police_car🚓 truck🚚 tractor🚜 bike🚲 motor_scooter🛵 rotating_light🚨 traffic_light🚥 vertical_traffic_light🚦 construction_worker👷 stop_sign🛑 octagonal_sign🛑 anchor⚓ boat⛵ speedboat🚤 ship🚢 airplane✈️ airplane_departure🛫 airplane_arriving🛬 parachute🪂 helicopter🚁 rocket🚀 flying_saucer🛸 satellite🛰️ 
hourglass⌛ hourglass_flowing_sand⏳ watch⌚ alarm_clock⏰ stopwatch⏱️ timer_clock⏲️ clock1🕐 clock3🕒 clock6🕕 clock9🕘 clock12🕛 new_moon🌑 full_moon🌕 sunny☀️ partly_sunny⛅ cloud☁️ rain_cloud🌧️ thunder_cloud_and_rain⛈️ snow_cloud🌨️ lightning🌩️ tornado🌪️ fog🌫️ rainbow🌈 umbrella☔ zap⚡ snowflake❄️ snowman⛄ comet☄️ fire🔥 droplet💧 ocean🌊 star⭐ star2🌟 stars🌠 sparkles✨ 
jack_o_lantern🎃 christmas_tree🎄 fireworks🎆 sparkler🎇 balloon🎈 tada🎉 confetti_ball🎊 gift🎁 ribbon🎀 ticket🎫 medal🎖️ trophy🏆 sports_medal🏅 first_place_medal🥇 second_place_medal🥈 third_place_medal🥉 soccer⚽ basketball🏀 football🏈 tennis🎾 dart🎯 bowling🎳 video_game🎮 game_die🎲 jigsaw🧩 chess_pawn♟️ art🎨 
eyeglasses👓 lab_coat🥼 safety_vest🦺 necktie👔 shirt👕 crown👑 tophat🎩 mortar_board🎓 helmet_with_white_cross⛑️ gem💎 
mute🔇 speaker🔈 loud_sound🔊 loudspeaker📢 mega📣 bell🔔 no_bell🔕 musical_note🎵 headphones🎧 microphone🎤 radio📻 
iphone📱 telephone☎️ telephone_receiver📞 pager📟 battery🔋 electric_plug🔌 computer💻 desktop_computer🖥️ printer🖨️ keyboard⌨️ floppy_disk💾 cd💿 dvd📀 movie_camera🎥 tv📺 camera📷 mag🔍 mag_right🔎 candle🕯️ bulb💡 flashlight🔦 book📖 books📚 notebook📓 ledger📒 page_with_curl📃 scroll📜 page_facing_up📄 newspaper📰 bookmark_tabs📑 bookmark🔖 label🏷️ moneybag💰 dollar💵 credit_card💳 receipt🧾 chart📊 bar_chart📊 chart_with_upwards_trend📈 chart_with_downwards_trend📉 
email✉️ envelope✉️ incoming_envelope📨 inbox_tray📥 outbox_tray📤 package📦 mailbox📫 pencil📝 memo📝 pencil2✏️ black_nib✒️ briefcase💼 file_folder📁 open_file_folder📂 card_index_dividers🗂️ date📅 calendar📆 spiral_calendar_pad🗓️ clipboard📋 pushpin📌 round_pushpin📍 paperclip📎 straight_ruler📏 scissors✂️ wastebasket🗑️ lock🔒 unlock🔓 closed_lock_with_key🔐 key🔑 old_key🗝️ hammer🔨 axe🪓 pick⛏️ hammer_and_wrench🛠️ hammer_and_pick⚒️ wrench🔧 screwdriver🪛 nut_and_bolt🔩 gear⚙️ link🔗 chains⛓️ toolbox🧰 magnet🧲 test_tube🧪 petri_dish🧫 dna🧬 microscope🔬 telescope🔭 satellite_antenna📡 syringe💉 pill💊 adhesive_bandage🩹 stethoscope🩺 door🚪 bed🛏️ broom🧹 basket🧺 soap🧼 sponge🧽 fire_extinguisher🧯 shopping_trolley🛒 shield🛡️ crossed_swords⚔️ dagger🗡️ bomb💣 crystal_ball🔮 magic_wand🪄 
atm🏧 put_litter_in_its_place🚮 wheelchair♿ warning⚠️ children_crossing🚸 no_entry⛔ no_entry_sign🚫 radioactive_sign☢️ biohazard_sign☣️ arrow_up⬆️ arrow_upper_right↗️ arrow_right➡️ arrow_lower_right↘️ arrow_down⬇️ arrow_lower_left↙️ arrow_left⬅️ arrow_upper_left↖️ arrow_up_down↕️ left_right_arrow↔️ leftwards_arrow_with_hook↩️ arrow_right_hook↪️ arrow_heading_up⤴️ arrow_heading_down⤵️ arrows_clockwise🔃 arrows_counterclockwise🔄 back🔙 end🔚 on🔛 soon🔜 top🔝 twisted_rightwards_arrows🔀 repeat🔁 repeat_one🔂 arrow_forward▶️ fast_forward⏩ next_track⏭️ black_right_pointing_double_triangle_with_vertical_bar⏭️ arrow_backward◀️ rewind⏪ arrow_up_small🔼 arrow_double_up⏫ arrow_down_small🔽 arrow_double_down⏬ pause_button⏸️ double_vertical_bar⏸️ black_square_for_stop⏹️ stop_button⏹️ record_button⏺️ eject⏏️ low_brightness🔅 high_brightness🔆 signal_strength📶 vibration_mode📳 
heavy_multiplication_x✖️ heavy_plus_sign➕ heavy_minus_sign➖ heavy_division_sign➗ infinity♾️ bangbang‼️ interrobang⁉️ question❓ grey_question❔ grey_exclamation❕ exclamation❗ heavy_exclamation_mark❗ wavy_dash〰️ recycle♻️ trident🔱 name_badge📛 beginner🔰 o⭕ white_check_mark✅ ballot_box_with_check☑️ heavy_check_mark✔️ x❌ negative_squared_cross_mark❎ curly_loop➰ part_alternation_mark〽️ eight_spoked_asterisk✳️ sparkle❇️ copyright©️ registered®️ tm™️ hash#️⃣ zero0️⃣ one1️⃣ two2️⃣ three3️⃣ four4️⃣ five5️⃣ six6️⃣ seven7️⃣ eight8️⃣ nine9️⃣ keycap_ten🔟 abc🔤 information_source ℹ️ id🆔 new🆕 ng🆖 ok🆗 sos🆘 up🆙 vs🆚 cool🆒 free🆓 
red_circle🔴 large_orange_circle🟠 large_yellow_circle🟡 large_green_circle🟢 large_blue_circle🔵 large_purple_circle🟣 large_brown_circle🟤 black_circle⚫ white_circle⚪ large_red_square🟥 large_orange_square🟧 large_yellow_square🟨 large_green_square🟩 large_blue_square🟦 large_purple_square🟪 black_large_square⬛ white_large_square⬜ black_medium_square◼️ white_medium_square◻️ small_orange_diamond🔸 small_blue_diamond🔹 large_orange_diamond🔶 large_blue_diamond🔷 small_red_triangle🔺 small_red_triangle_down🔻 radio_button🔘 white_square_button🔳 black_square_button🔲 checkered_flag🏁 triangular_flag_on_post🚩 crossed_flags🎌 black_flag🏴 white_flag🏳️ rainbow-flag🏳️‍🌈 flag-de🇩🇪 flag-gb🇬🇧 flag-us🇺🇸 flag-jp🇯🇵 flag-fr🇫🇷 flag-es🇪🇸 flag-it🇮🇹 flag-eu🇪🇺
`;

const TONES = ["🏻", "🏼", "🏽", "🏾", "🏿"];

/** Shortcode → character. */
export const EMOJI = new Map(
  TABLE.trim().split(/\s+/).flatMap((entry) => {
    const found = /^([a-z0-9_+-]+?)((?:[0-9#]\ufe0f?\u20e3|[^\x00-\x7f].*))$/u.exec(entry);
    return found ? [[found[1], found[2]]] : [];
  }),
);
EMOJI.set("information_source", "ℹ️");

/** The character of a shortcode with an optional skin tone, or null. */
export function emojiOf(name, tone) {
  const found = EMOJI.get(name);
  if (!found) return null;
  const number = /^skin-tone-([2-6])$/.exec(tone ?? "");
  return number ? found.replace(/\ufe0f$/u, "") + TONES[Number(number[1]) - 2] : found;
}
